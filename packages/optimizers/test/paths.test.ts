import {
  compile,
  createKey,
  fromNested,
  type NdArray,
  type Optimizer,
  read,
  sameBits,
  treeEntries,
} from '@tenon-ml/core';
import { allowedDifference, expectClose } from '@tenon-ml/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  adagrad,
  adam,
  adamw,
  chain,
  clipByGlobalNorm,
  globalNorm,
  scaleByLearningRate,
  sgd,
} from '../src/index.js';
import { backend, type DeviceTree, type HostTree, runUpdates } from './run.js';
import { byPath, draw, permuted, shapeTrees, zerosIn } from './trees.js';

beforeAll(async () => {
  await backend.init();
});

/** Every optimizer, with everything that it may keep. */
const matrix: { readonly [name: string]: () => Optimizer } = {
  sgd: () => sgd({ learningRate: 0.1 }),
  nesterov: () => sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
  adagrad: () => adagrad({ learningRate: 0.1 }),
  adam: () => adam({ learningRate: 0.1 }),
  uncorrected: () => adam({ learningRate: 0.1, biasCorrection: false }),
  adamw: () => adamw({ learningRate: 0.1, weightDecay: 0.1, mask: (path) => !path.endsWith('bias') }),
  chain: () => chain(clipByGlobalNorm(0.5), adam({ learningRate: 0.1 })),
};

describe.each(Object.entries(matrix))('%s', (_, make) => {
  test('parameters come back at their paths, and state mirrors them', async () => {
    await fc.assert(
      fc.asyncProperty(shapeTrees, fc.nat(), async (shapes, seed) => {
        const key = createKey(seed);
        const initial = draw(shapes, key);
        const { params, state } = await runUpdates(make(), initial, [draw(shapes, key.foldIn(1))]);
        const paths = treeEntries<NdArray>(initial).map(([path, { shape }]) => `${path} ${shape}`);
        expect(treeEntries<NdArray>(params).map(([path, { shape }]) => `${path} ${shape}`)).toEqual(paths);
        const slots = new Map<string, string[]>();
        for (const [path, { shape }] of treeEntries<NdArray>(state)) {
          const [slot, rest] = splitSlot(path);
          slots.set(slot, [...(slots.get(slot) ?? []), `${rest} ${shape}`]);
        }
        for (const mirrored of slots.values()) expect(mirrored).toEqual(paths);
      }),
      { numRuns: 30 },
    );
  });

  test('the order of names changes no bit', async () => {
    await fc.assert(
      fc.asyncProperty(shapeTrees, fc.nat(), async (shapes, seed) => {
        const key = createKey(seed);
        const initial = draw(shapes, key);
        const gradients = [1, 2, 3].map((step) => draw(shapes, key.foldIn(step)));
        const straight = await runUpdates(make(), initial, gradients);
        const shuffled = await runUpdates(
          make(),
          permuted(initial, seed) as HostTree,
          gradients.map((tree, step) => permuted(tree, seed + step) as HostTree),
          permuted(make().init(initial) as HostTree, seed + 7),
        );
        expectSameLeaves(shuffled as unknown as HostTree, straight as unknown as HostTree);
      }),
      { numRuns: 30 },
    );
  });

  test('zero gradients move nothing that has no decay', async () => {
    const initial = draw({ a: { bias: [3] }, b: { bias: [] } }, createKey(1));
    const { params } = await runUpdates(withoutDecay(make), initial, [zerosIn(initial), zerosIn(initial)]);
    expectSameLeaves(params, initial);
  });

  test('freezing a parameter, and training it again later, moves nothing of the others', async () => {
    // The clip is over all gradients, so freezing one does change the others' there: its bound is out of reach here.
    const optimizer =
      make === matrix.chain ? chain(clipByGlobalNorm(1e6), adam({ learningRate: 0.1 })) : make();
    const shapes = { stem: { kernel: [2, 3], bias: [3] }, head: { kernel: [3, 2] } };
    const key = createKey(5);
    const initial = draw(shapes, key);
    const gradients = [1, 2, 3, 4].map((step) => draw(shapes, key.foldIn(step)));
    const only = (tree: HostTree): HostTree => ({ head: tree.head });
    const all = await runUpdates(optimizer, initial, gradients.slice(0, 2));
    const frozen = await runUpdates(optimizer, only(all.params), gradients.slice(2, 3).map(only), all.state);
    expect(Object.keys(byPath(frozen.params))).toEqual(['head.kernel']);
    const headOnly = await runUpdates(optimizer, only(initial), gradients.slice(0, 2).map(only));
    const continued = await runUpdates(
      optimizer,
      headOnly.params,
      gradients.slice(2, 3).map(only),
      headOnly.state,
    );
    expectSameLeaves(frozen.params, continued.params);
    // What the frozen parameters' state was, it still is.
    for (const [path, leaf] of Object.entries(byPath(frozen.state))) {
      if (path.includes('stem')) expect(sameBits(leaf, byPath(all.state)[path]), path).toBe(true);
      else expect(sameBits(leaf, byPath(continued.state)[path]), path).toBe(true);
    }
  });
});

describe('clipByGlobalNorm', () => {
  test('no update is longer than the bound, and shorter ones stay as they are', async () => {
    await fc.assert(
      fc.asyncProperty(
        shapeTrees,
        fc.nat(),
        fc.constantFrom(1e-8, 1e-3, 1, 1e4),
        fc.constantFrom(1e-3, 0.5, 3, 1e3),
        async (shapes, seed, scale, maxNorm) => {
          const gradient = draw(shapes, createKey(seed), scale);
          const optimizer = chain(clipByGlobalNorm(maxNorm), scaleByLearningRate(1));
          const { params: clipped } = await runUpdates(optimizer, zerosIn(gradient), [gradient]);
          const before = normOf(gradient);
          const slack = allowedDifference(maxNorm, { op: 'sum', dtype: 'float32' });
          expect(normOf(clipped)).toBeLessThanOrEqual(maxNorm + slack);
          if (before <= maxNorm * (1 - 1e-6)) {
            for (const [path, leaf] of Object.entries(byPath(clipped))) {
              expectClose(leaf, negated(byPath(gradient)[path]), { op: 'exact' });
            }
          } else {
            for (const [path, leaf] of Object.entries(byPath(clipped))) {
              const expected = negated(byPath(gradient)[path]);
              const wanted = Float64Array.from(expected.data as Float32Array, (x) => (x * maxNorm) / before);
              expectClose(leaf, { ...expected, dtype: 'float64', data: wanted }, { op: 'elementwise' });
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('the norm is summed in the order of paths: other orders would give other bits', async () => {
    // 1 + 5e-8 is 1 in float32, four times over, and 1 + 4 · 5e-8 is not.
    const small = fromNested(Math.sqrt(5e-8));
    const tree: HostTree = {
      c: { one: fromNested(1) },
      b: { x: small, y: small },
      a: { x: small, y: small },
    };
    const norm = compile((leaves: DeviceTree) => globalNorm(leaves), { backend }) as unknown as (
      leaves: HostTree,
    ) => Tensor;
    for (let seed = 0; seed < 8; seed++) {
      const { data } = await read(norm(permuted(tree, seed) as HostTree));
      expect(data[0]).toBe(Math.fround(1 + 2 ** -23));
    }
  });

  test('gradients of norm 0 stay 0', async () => {
    const zero = { w: fromNested([0, 0]) };
    const { params } = await runUpdates(chain(clipByGlobalNorm(1), sgd({ learningRate: 1 })), zero, [zero]);
    expect([...(params.w as NdArray).data]).toEqual([0, 0]);
  });
});

function withoutDecay(make: () => Optimizer): Optimizer {
  return make === matrix.nesterov ? sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true }) : make();
}

/** `adam_1.firstMoment.a.b` into the slot's own path and the parameter's. */
function splitSlot(path: string): [slot: string, rest: string] {
  const names = path.split('.');
  const depth = /_1$/.test(names[0]) && names[0] !== 'dense_1' ? 2 : 1;
  return [names.slice(0, depth).join('.'), names.slice(depth).join('.')];
}

function expectSameLeaves(actual: HostTree, expected: HostTree): void {
  const [got, wanted] = [byPath(actual), byPath(expected)];
  expect(Object.keys(got).sort()).toEqual(Object.keys(wanted).sort());
  for (const path of Object.keys(wanted)) expect(sameBits(got[path], wanted[path]), path).toBe(true);
}

function normOf(tree: HostTree): number {
  return Math.sqrt(
    treeEntries<NdArray>(tree).reduce(
      (sum, [, { data }]) => sum + (data as Float32Array).reduce((s, x) => s + x * x, 0),
      0,
    ),
  );
}

function negated(array: NdArray): NdArray {
  return { ...array, data: (array.data as Float32Array).map((x) => -x) } as NdArray;
}
