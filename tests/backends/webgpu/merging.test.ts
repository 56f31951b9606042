import { webgpu } from '@tenon-ml/backend-webgpu';
import { compile, createKey, fromNested, type NdArray, read, upload } from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { started } from '../../hosts/tested_backend.js';
import { expectAgreement } from '../kernels/reference.js';

const [recording, eager] = started(webgpu(), webgpu({ record: false }));

type Tensors = { readonly [name: string]: tf.Tensor };
type Arrays = { readonly [name: string]: NdArray };

/**
 * Hands a function's state from call to call, and holds what comes of it against eager calls. How many dispatches a
 * replay takes.
 */
async function dispatches(
  f: (state: Tensors, kept: Tensors) => Tensors,
  start: Arrays,
  kept: Arrays = {},
): Promise<number> {
  const compiled = compile(f, { backend: recording, donate: [0] });
  const plain = compile(f, { backend: eager });
  const others = upload(kept, recording);
  let state = upload(start, recording) as unknown as Tensors;
  let wanted = upload(start, eager) as unknown as Tensors;
  for (let i = 0; i < 4; i++) {
    // In the order of the beginning, whatever order the function returns.
    state = Object.fromEntries(Object.keys(start).map((name) => [name, state[name]]));
    state = compiled(state, others);
    wanted = plain(wanted, kept as never);
  }
  const [got, expected] = (await Promise.all([read(state), read(wanted)])) as unknown as [Arrays, Arrays];
  for (const [name, array] of Object.entries(got)) {
    expectAgreement(array, expected[name], { op: 'network', reduction: 16 });
  }
  return compiled.explain().recordings[0].commands;
}

const normal = (name: string, shape: readonly number[]): NdArray =>
  createKey(5)
    .foldIn(name)
    .normal([...shape]);
const matrices = (...names: string[]): Arrays =>
  Object.fromEntries(names.map((name) => [name, normal(name, [4, 4])]));
const product = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  tf.tanh(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D));

test('parts of any size, with numbers of their own, are one dispatch', async () => {
  const shapes = [[2], [1], [], [1000], [33, 50]];
  const start = Object.fromEntries(shapes.map((shape, k) => [`p${k}`, normal(`p${k}`, shape)]));
  const decay = (state: Tensors): Tensors =>
    Object.fromEntries(Object.entries(state).map(([name, p], k) => [name, tf.mul(p, 1 / (k + 2))]));
  expect(await dispatches(decay, start)).toBe(1);
});

test('what is read in different ways is not one piece of code, but for one element', async () => {
  const scale = ({ a, b, c, d }: Tensors, { row3, row5, row1, other5 }: Tensors): Tensors => ({
    a: tf.mul(a, row1),
    b: tf.mul(b, row3),
    c: tf.mul(c, row5),
    d: tf.mul(d, other5),
  });
  const start = {
    a: normal('a', [1]),
    b: normal('b', [2, 3]),
    c: normal('c', [4, 5]),
    d: normal('d', [7, 5]),
  };
  const kept = {
    row1: normal('1', [1]),
    row3: normal('3', [3]),
    row5: normal('5', [5]),
    other5: normal('o', [5]),
  };
  // a with b, and c with d, whose rows are as long.
  expect(await dispatches(scale, start, kept)).toBe(2);
});

test('a part waits for what is read before it is written over', async () => {
  // b is read by the product that lies between the two halves.
  const f = ({ a, b, c }: Tensors): Tensors => {
    const half = tf.mul(a, 0.5);
    const between = product(b, c);
    return { a: half, b: tf.mul(b, 0.5), c: between };
  };
  expect(await dispatches(f, matrices('a', 'b', 'c'))).toBe(2);
});

test('parts between which something stands that needs the one, and that the other would spoil, stay apart', async () => {
  const f = ({ a, b }: Tensors): Tensors => {
    const half = tf.mul(a, 0.5);
    const between = product(half, b);
    return { a: half, b: tf.mul(b, 0.5), c: between };
  };
  expect(await dispatches(f, matrices('a', 'b', 'c'))).toBe(3);
});

test('a part that reads what another makes stays apart', async () => {
  const turned = (x: tf.Tensor): tf.Tensor => tf.reshape(tf.transpose(x), [4, 4]);
  const f = ({ a, b, c }: Tensors): Tensors => {
    const sum = tf.add(a, turned(c));
    return { a: sum, b: tf.add(b, turned(sum)), c: tf.mul(c, 0.5) };
  };
  expect(await dispatches(f, matrices('a', 'b', 'c'))).toBe(3);
});

test('integers and floats of one piece of work lie in arenas of their own', async () => {
  const f = ({ n, x }: Tensors): Tensors => {
    const next = tf.add(n, tf.scalar(2, 'int32'));
    return { n: next, x: tf.add(tf.mul(x, 0.5), tf.cast(next, 'float32')) };
  };
  const start = { n: fromNested([1, 2, 3], 'int32'), x: fromNested([0.5, 1, 2]) };
  expect(await dispatches(f, start)).toBe(1);
});

test('a group whose order differs is paired all the same', async () => {
  const f = (state: Tensors): Tensors => {
    const m = (k: number): tf.Tensor => tf.mul(state[`m${k}`], 0.5);
    const [m0, m1] = [m(0), m(1)];
    return {
      m0,
      m1,
      v0: tf.add(state.v0, tf.square(m0)),
      v1: tf.add(state.v1, tf.square(m1)),
      p0: tf.sub(state.p0, m0),
      p1: tf.sub(state.p1, m1),
    };
  };
  const start = matrices('p0', 'p1', 'm0', 'm1', 'v0', 'v1');
  expect(await dispatches(f, start)).toBe(1);
});

// Sums of what an update makes beside what it writes over: the values of all parameters lie in one block.
test.each([1, 2])(
  '%i values in between, of updates that are made apart and read by one dispatch',
  async (count) => {
    const sizes = [300, 500, 7];
    const f = (state: Tensors, { g0, g1, g2 }: Tensors): Tensors => {
      const next: { [name: string]: tf.Tensor } = {};
      for (const [k, g] of [g0, g1, g2].entries()) {
        const m = tf.add(tf.mul(state[`m${k}`], 0.9), g);
        const u = tf.mul(m, 2);
        const w = tf.square(tf.sub(m, 1));
        const p = tf.sub(state[`p${k}`], tf.div(u, tf.sum(tf.square(u))));
        next[`p${k}`] = count === 1 ? p : tf.add(p, tf.div(w, tf.sum(w)));
        next[`m${k}`] = m;
      }
      return next;
    };
    const of = (name: string) =>
      sizes.map((size, k) => [`${name}${k}`, normal(`${name}${k}`, [size])] as const);
    const start = Object.fromEntries([...of('p'), ...of('m')]);
    // Of each parameter: its moment and what comes of it, and one sum or two. Then the update of all three.
    expect(await dispatches(f, start, Object.fromEntries(of('g')))).toBe(3 * (1 + count) + 1);
  },
);
