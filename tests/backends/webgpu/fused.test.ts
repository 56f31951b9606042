import { webgpu } from '@tenon-ml/backend-webgpu';
import { adamMoments, choose, compile, createKey, type NdArray, read, scalar } from '@tenon-ml/core';
import {
  add,
  matMul,
  mul,
  relu,
  reshape,
  slice,
  square,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  transpose,
} from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { started } from '../../hosts/tested_backend.js';

const [backend] = started(webgpu());

const key = createKey(1);
const matrix = (name: string): NdArray => key.foldIn(name).normal([8, 8]);

/** How many dispatches a replay of a function takes. */
async function dispatches(
  f: (args: { readonly [name: string]: Tensor }) => Tensor | Tensor[],
  args: { readonly [name: string]: NdArray },
): Promise<number> {
  const compiled = compile(f as never, { backend }) as unknown as ((given: typeof args) => Tensor) & {
    explain(): { readonly recordings: readonly { readonly commands: number }[] };
  };
  for (let i = 0; i < 3; i++) await read(compiled(args));
  return compiled.explain().recordings[0].commands;
}

test('a product takes its bias and its relu along', async () => {
  const args = { a: matrix('a'), b: matrix('b'), bias: key.foldIn('bias').normal([8]) };
  expect(
    await dispatches(({ a, b, bias }) => relu(add(matMul(a as Tensor2D, b as Tensor2D), bias)), args),
  ).toBe(1);
});

test('a sum takes along what is summed', async () => {
  expect(await dispatches(({ a, b }) => sum(square(sub(a, b))), { a: matrix('a'), b: matrix('b') })).toBe(1);
});

test('what is cut out of permuted values is read where it lies', async () => {
  const cut = ({ a }: { readonly [name: string]: Tensor }): Tensor[] => {
    const permuted = transpose(reshape(a, [2, 4, 8]), [1, 0, 2]);
    return [relu(slice(permuted, [1, 0, 0], [3, 2, 8])), square(slice(permuted, [0, 0, 0], [1, 2, 8]))];
  };
  // One for each result, none for the permutation.
  expect(await dispatches(cut, { a: matrix('a') })).toBe(2);
});

test('Adam, the update and the choice of old or new are one dispatch for a parameter', async () => {
  const args = {
    p: matrix('p'),
    g: matrix('g'),
    m: matrix('m'),
    v: matrix('v'),
    rate: scalar(-0.1),
    ok: { dtype: 'bool', shape: [], data: Uint8Array.of(1) } as NdArray,
  };
  const step = ({ p, g, m, v, rate, ok }: { readonly [name: string]: Tensor }): Tensor[] => {
    const { updates, firstMoments, secondMoments } = adamMoments({
      updates: [g],
      firstMoments: [m],
      secondMoments: [square(v)],
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
    });
    const fresh = add(p, mul(updates[0], rate));
    return [choose(ok, fresh, p), choose(ok, firstMoments[0], m), choose(ok, secondMoments[0], v)];
  };
  expect(await dispatches(step, args)).toBe(1);
});
