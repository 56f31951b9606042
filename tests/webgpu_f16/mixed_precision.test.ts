import { webgpu } from '@tenon-ml/backend-webgpu';
import {
  adamMoments,
  compile,
  createKey,
  fromNested,
  gatherRows,
  type NdArray,
  ndarray,
  type Precision,
  read,
  scalar,
} from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import {
  add,
  gather,
  matMul,
  mul,
  square,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differentiate, networks } from '../backends/networks.js';
import { started } from '../hosts/tested_backend.js';

const [backend] = started(webgpu());

type Args = { readonly [name: string]: Tensor };
type Given = { readonly [name: string]: NdArray };

/** What a plan of a function gives, and what it takes in between. */
async function planned(f: (args: Args) => Tensor, given: Given, precision: Precision = 'mixed-float16') {
  const compiled = compile(f as never, { backend, precision }) as unknown as ((args: Given) => Tensor) & {
    explain(): { readonly recordings: readonly { readonly bytes: number }[] };
  };
  await read(compiled(given));
  const value = (await read(compiled(given))) as NdArray<'float32'>;
  return { value, bytes: compiled.explain().recordings[0].bytes };
}

/** Numbers that float16 holds exactly: quarters from −8 to 8. */
function exact(name: string, shape: readonly number[]): NdArray {
  const count = shape.reduce((product, length) => product * length, 1);
  const words = createKey(5).foldIn(name).bits(count);
  return ndarray(
    'float32',
    shape,
    Float32Array.from(words, (word) => (word % 65) / 4 - 8),
  );
}

const product = ({ a, b }: Args): Tensor => matMul(a as Tensor2D, b as Tensor2D);

describe('products', () => {
  test('of factors that float16 holds are those of float32: sums are', async () => {
    const length = fc.integer({ min: 1, max: 70 });
    await fc.assert(
      fc.asyncProperty(length, fc.integer({ min: 1, max: 3000 }), length, async (rows, inner, columns) => {
        const given = { a: exact('a', [rows, inner]), b: exact('b', [inner, columns]) };
        const [narrow, wide] = [await planned(product, given), await planned(product, given, 'float32')];
        expectClose(narrow.value, wide.value, { op: 'product', reduction: inner, device: 'gpu' });
      }),
      { numRuns: 8 },
    );
  });

  test('round their factors to 11 bits', async () => {
    const given = { a: fromNested([[1 + 2 ** -12, 2048 + 0.25]]), b: fromNested([[1], [1]]) };
    const { value } = await planned(product, given);
    // One or the other neighbour, which WGSL leaves open.
    expect([1, 1 + 2 ** -10].flatMap((x) => [x + 2048, x + 2050])).toContain(value.data[0]);
  });

  test('that float16 can’t hold are infinite in between, and as they are where they come out', async () => {
    const given = {
      a: fromNested([[300, -300]]),
      b: fromNested([
        [300, 0],
        [0, 300],
      ]),
    };
    expect([...(await planned(product, given)).value.data]).toEqual([90000, -90000]);
    // A product that is kept, as two read it.
    const twice = ({ a, b, ones }: Args): Tensor => {
      const c = product({ a, b });
      return add(matMul(c as Tensor2D, ones as Tensor2D), sum(c));
    };
    const args = {
      a: fromNested([[300, 200]]),
      b: fromNested([
        [300, 0],
        [0, 300],
      ]),
      ones: fromNested([[1], [1]]),
    };
    expect([...(await planned(twice, args)).value.data]).toEqual([Infinity]);
    expect([...(await planned(twice, args, 'float32')).value.data]).toEqual([300000]);
  });
});

test('what arguments lose in float16 they keep: an update of a master weight by less than its last bit there', async () => {
  const update = ({ p, a, b, rate }: Args): Tensor => sub(p, mul(product({ a, b }), rate));
  const given = {
    p: fromNested([[1]]),
    a: fromNested([[1, 1]]),
    b: fromNested([[1], [1]]),
    rate: scalar(2 ** -16),
  };
  expect((await planned(update, given)).value.data[0]).toBe(1 - 2 ** -15);
});

test('Adam’s moments are float32', async () => {
  const moment = ({ a, b, m, v }: Args): Tensor => {
    const { secondMoments } = adamMoments({
      updates: [product({ a, b })],
      firstMoments: [m],
      secondMoments: [v],
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
    });
    // Twice, so that it is kept in between.
    return add(secondMoments[0], sum(secondMoments[0]));
  };
  const zero = fromNested([[0]]);
  const given = { a: fromNested([[2 ** -5]]), b: fromNested([[2 ** -5]]), m: zero, v: zero };
  // The least that float16 can hold is 2⁻²⁴.
  expectClose((await planned(moment, given)).value, [2 * 0.001 * 2 ** -20], {
    op: 'optimizer',
    reduction: 4,
  });
});

test('squares beyond 65504 are summed all the same', async () => {
  const f = ({ a, b }: Args): Tensor => {
    const squares = square(product({ a, b }));
    return add(sum(squares), sum(squares, 0));
  };
  const given = {
    a: fromNested([[100, 200]]),
    b: fromNested([
      [2, 0],
      [0, 2],
    ]),
  };
  expect([...(await planned(f, given)).value.data]).toEqual([240000, 360000]);
});

test('what is looked up keeps its digits, but for rows of embeddings', async () => {
  const ids = ndarray('int32', [3], Int32Array.of(2, 0, 2));
  const given = { t: fromNested([[100000], [1], [100001]]), ids };
  // Found twice, so that it is kept.
  const lookUp = ({ t, ids: at }: Args): Tensor => {
    const found = gather(t, at as Tensor1D);
    return add(found, sum(found));
  };
  expect([...(await planned(lookUp, given)).value.data]).toEqual([400003, 400002, 400003]);
  const embed = ({ t, ids: at }: Args): Tensor => {
    const found = gatherRows(t as Tensor2D, at as Tensor1D);
    return add(found, sum(found));
  };
  const small = { t: fromNested([[0.1], [1], [0.2]]), ids };
  const [narrow, wide] = [await planned(embed, small), await planned(embed, small, 'float32')];
  expect(narrow.value.data[0]).not.toBe(wide.value.data[0]);
  expectClose(narrow.value, wide.value, { op: 'product', dtype: 'mixed-float16' });
});

// Each takes a software GPU half a minute to compile.
describe.each(networks.filter(([name]) => /images|language/.test(name)))('%s', (_, network) => {
  test('agrees with float32, and takes less memory', async () => {
    const wide = await differentiate(network, webgpu(), { calls: 2 });
    const narrow = await differentiate(network, webgpu(), { calls: 3, precision: 'mixed-float16' });
    expect(narrow.explanation.mode).toBe('replayed');
    expect(narrow.results[2]).toEqual(narrow.results[0]);
    let rounded = 0;
    for (const [i, [name, value]] of narrow.results[0].entries()) {
      const reference = wide.results[0][i][1];
      const options = { op: 'network', reduction: network.reduction, name } as const;
      expectClose(value, reference, { ...options, dtype: 'mixed-float16' });
      if (value.data.some((x, k) => x !== reference.data[k])) rounded++;
    }
    // In float32 the bits would be the same; nearly everything has gone through float16.
    expect(rounded).toBeGreaterThan(network.results / 2);
    const [{ bytes }] = narrow.explanation.recordings;
    expect(bytes).toBeLessThan(wide.explanation.recordings[0].bytes);
  });
});
