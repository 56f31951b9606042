import { webgpu } from '@tenon-ml/backend-webgpu';
import {
  type Backend,
  layerNormDefinition,
  layerNormGradDefinition,
  type NdArray,
  sameBits,
  softmaxCrossEntropyDefinition,
  softmaxCrossEntropyGradDefinition,
} from '@tenon-ml/core';
import { cpu } from '@tenon-ml/testkit';
import { All, Any, ArgMax, Max, Min, Prod, Softmax, Sum } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AdapterView, ownGpu, seenAs } from '../../hosts/adapters.js';
import { missing } from '../../hosts/missing.js';
import { targets } from '../kernels/inputs.js';
import { expectAgreement, randomArray, runDefinition, runKernelForAll } from '../kernels/reference.js';

/** What a backend is told of the adapter in the place of what it is. */
export type View = (adapter: AdapterView) => Partial<AdapterView>;

/** Sizes about those at which another invocation, subgroup or element for each comes in. */
const lengths = fc.oneof(
  fc.integer({ min: 1, max: 70 }),
  fc
    .tuple(fc.integer({ min: 3, max: 11 }), fc.integer({ min: -1, max: 1 }))
    .map(([k, more]) => 2 ** k + more),
);
const shapes = fc.record({
  outer: fc.constantFrom(1, 2, 3, 9),
  count: lengths,
  inner: fc.oneof({ arbitrary: fc.constant(1), weight: 2 }, fc.integer({ min: 1, max: 33 })),
  seed: fc.nat(),
});

/** Whole numbers, so that sums are exact: whatever is left out or counted twice shows. */
export function wholeNumbers(seed: number, shape: readonly number[], most: number): NdArray<'float32'> {
  const { data } = randomArray(seed, shape);
  return {
    dtype: 'float32',
    shape,
    data: data.map((value) => Math.round(Math.max(-most, Math.min(most, 3 * value))) + 0),
  };
}

/** Joins the middle axis. */
export function reduced(
  { shape: [outer, count, inner], data }: NdArray,
  join: (values: readonly number[]) => number,
): number[] {
  return Array.from({ length: outer * inner }, (_, i) => {
    const [row, column] = [Math.floor(i / inner), i % inner];
    return join(Array.from({ length: count }, (_, k) => Number(data[(row * count + k) * inner + column])));
  });
}

export const add = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const multiply = (values: readonly number[]) => values.reduce((a, b) => a * b, 1);

/** Tests of whatever joins numbers, on an adapter that is seen in some way; `used` says whether subgroups are, then. */
export function describeJoins(name: string, see: View, used: boolean): void {
  describe(`subgroups, ${name}`, () => {
    let backend: Backend;
    let reference: Backend;
    beforeAll(async () => {
      if (missing !== '') return;
      backend = webgpu({ gpu: seenAs(await ownGpu(), see), record: false });
      reference = cpu();
      await reference.init();
      const { features } = await backend.init();
      if (used && !(await hasSubgroups())) return;
      expect(features.subgroups).toBe(used);
    });
    afterAll(async () => {
      await backend?.dispose();
      await reference?.dispose();
    });

    const reduction = async (kernel: string, x: NdArray): Promise<number[]> => {
      const name = kernel === Max ? 'reductionIndices' : 'axis';
      const attrs = { [name]: kernel === ArgMax ? 1 : [1], keepDims: false };
      const [result] = await runKernelForAll(backend, { kernel, inputs: { x }, attrs });
      return Array.from(result.data as Float32Array, Number);
    };

    test('sums, products, extremes and their places are exact', async () => {
      await fc.assert(
        fc.asyncProperty(shapes, async ({ outer, count, inner, seed }) => {
          const x = wholeNumbers(seed, [outer, count, inner], 9);
          expect(await reduction(Sum, x)).toEqual(reduced(x, add));
          expect(await reduction(Max, x)).toEqual(reduced(x, (values) => Math.max(...values)));
          expect(await reduction(Min, x)).toEqual(reduced(x, (values) => Math.min(...values)));
          expect(await reduction(ArgMax, x)).toEqual(
            reduced(x, (values) => values.indexOf(Math.max(...values))),
          );
          const signs = { ...x, data: x.data.map((value, i) => (value < 0 ? -1 : i % 97 === 0 ? 2 : 1)) };
          expect(await reduction(Prod, signs)).toEqual(reduced(signs, multiply));
        }),
      );
    });

    test('of whole numbers and of truths too', async () => {
      await fc.assert(
        fc.asyncProperty(shapes, async ({ outer, count, inner, seed }) => {
          const shape = [outer, count, inner];
          const numbers = Int32Array.from(wholeNumbers(seed, shape, 9).data);
          const x: NdArray = { dtype: 'int32', shape, data: numbers };
          expect(await reduction(Sum, x)).toEqual(reduced(x, add));
          expect(await reduction(Max, x)).toEqual(reduced(x, (values) => Math.max(...values)));
          expect(await reduction(Min, x)).toEqual(reduced(x, (values) => Math.min(...values)));
          // One that is otherwise, or none.
          const place = seed % (2 * numbers.length);
          const truths = Uint8Array.from(numbers, (_, i) => Number(i !== place));
          const all: NdArray = { dtype: 'bool', shape, data: truths };
          expect(await reduction(All, all)).toEqual(reduced(all, (values) => Math.min(...values)));
          const any: NdArray = { dtype: 'bool', shape, data: truths.map((truth) => 1 - truth) };
          expect(await reduction(Any, any)).toEqual(reduced(any, (values) => Math.max(...values)));
        }),
      );
    });

    test('one NaN, one infinity, wherever it is, is the extreme', async () => {
      await fc.assert(
        fc.asyncProperty(shapes, fc.nat(), async ({ outer, count, inner, seed }, where) => {
          const x = wholeNumbers(seed, [outer, count, inner], 9);
          const at = where % x.data.length;
          for (const special of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
            x.data[at] = special;
            expect(await reduction(Max, x)).toEqual(reduced(x, (values) => Math.max(...values)));
            expect(await reduction(Min, x)).toEqual(reduced(x, (values) => Math.min(...values)));
          }
        }),
      );
    });

    test('rows are normalized, and their cross-entropy taken, as defined', async () => {
      const rows = fc.record({ rows: fc.constantFrom(1, 3, 70), count: lengths, seed: fc.nat() });
      await fc.assert(
        fc.asyncProperty(rows, async ({ rows, count, seed }) => {
          const [x, dy] = [randomArray(seed, [rows, count]), randomArray(seed + 1, [rows, count])];
          const [scale, bias] = [randomArray(seed + 2, [count]), randomArray(seed + 3, [count])];
          const target = targets(seed + 4, rows, count, true);
          const attrs = { epsilon: 1e-5 };
          const cancelling = count * (count < 3 ? 1e5 : 10);
          const calls = [
            {
              kernel: 'LayerNorm',
              definition: layerNormDefinition,
              inputs: { x, scale, bias },
              agreements: [{ op: 'normalization' as const, reduction: count }],
            },
            {
              kernel: 'LayerNormGrad',
              definition: layerNormGradDefinition,
              inputs: { dy, x, scale },
              agreements: [cancelling, rows * count, rows * count].map((reduction) => ({
                op: 'normalization' as const,
                reduction,
              })),
            },
            {
              kernel: 'SoftmaxCrossEntropy',
              definition: softmaxCrossEntropyDefinition,
              inputs: { logits: x, target },
              agreements: [{ op: 'loss' as const, reduction: count }],
            },
            {
              kernel: 'SoftmaxCrossEntropyGrad',
              definition: softmaxCrossEntropyGradDefinition,
              inputs: { dy: randomArray(seed + 5, [rows]), logits: x, target },
              agreements: [{ op: 'loss' as const, reduction: count }],
            },
          ];
          for (const { kernel, definition, inputs, agreements } of calls) {
            const actual = await runKernelForAll(backend, { kernel, inputs, attrs });
            const expected = await runDefinition(reference, definition, { inputs, attrs });
            for (const [i, agreement] of agreements.entries())
              expectAgreement(actual[i], expected[i], agreement);
          }
        }),
      );
    });

    test('a row with one NaN is NaN, and no other row', async () => {
      for (const count of [3, 9, 40, 129, 1100]) {
        const logits = randomArray(count, [5, count]);
        logits.data[2 * count + (count >> 1)] = Number.NaN;
        const call = { kernel: Softmax, inputs: { logits }, attrs: { dim: -1 } };
        const [{ data }] = await runKernelForAll(backend, call);
        expect(
          Array.from(data as Float32Array, (value, i) => Math.floor(i / count) === 2 || value >= 0),
        ).toEqual(Array.from(data as Float32Array, () => true));
        expect(Number.isNaN(data[2 * count]) && Number.isNaN(data[3 * count - 1])).toBe(true);
      }
    });

    test('the same call gives the same bits', async () => {
      for (const shape of [
        [3, 1100, 1],
        [1, 5000, 3],
        [300, 33, 1],
      ]) {
        const call = {
          kernel: Sum,
          inputs: { x: randomArray(7, shape) },
          attrs: { axis: [1], keepDims: false },
        };
        const [first] = await runKernelForAll(backend, call);
        const [second] = await runKernelForAll(backend, call);
        expect(sameBits(first, second)).toBe(true);
      }
    });
  });
}

/** Whether this machine's adapter has them. */
export async function hasSubgroups(): Promise<boolean> {
  const adapter = await (await ownGpu()).requestAdapter();
  return adapter?.features.has('subgroups' as GPUFeatureName) ?? false;
}
