import '@tensorflow/tfjs-backend-cpu';
import { compile, type Metric, type NdArray, read, rows, type Tree, tfjsBackend } from '@tenon-ml/core';
import { expectClose, type GoldenCase, loadGoldens, type MetricGolden, toFloat32 } from '@tenon-ml/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { accuracy, confusionMatrix, f1, mean, precision, recall } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

type Batch = { prediction: NdArray; target: NdArray; weights: NdArray };

/** What the step gives out for each of the batches, on the host. */
async function observe(metric: Metric, batches: readonly Batch[]): Promise<Tree<NdArray>[]> {
  const step = compile((p: Tensor, t: Tensor, w: Tensor) => metric.observe(p, t, w), { backend });
  const observed: Tree<NdArray>[] = [];
  for (const { prediction, target, weights } of batches) {
    observed.push((await read(step(prediction, target, weights))) as Tree<NdArray>);
  }
  return observed;
}

/** Streamed batch after batch, and merged from a shard for each batch, as a tree; through JSON, as in a checkpoint. */
async function streamedAndMerged(metric: Metric, batches: readonly Batch[]) {
  const observed = await observe(metric, batches);
  const viaJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
  const streamed = observed.reduce((state, one) => viaJson(metric.update(state, one)), metric.empty());
  let shards = observed.map((one) => viaJson(metric.update(metric.empty(), one)));
  while (shards.length > 1) {
    const half = Math.ceil(shards.length / 2);
    shards = Array.from({ length: half }, (_, i) =>
      i + half < shards.length ? metric.merge(shards[i + half], shards[i]) : shards[i],
    );
  }
  return { streamed: metric.compute(streamed), merged: metric.compute(shards[0]) };
}

function batchesOf(
  golden: GoldenCase<MetricGolden>,
  prediction: NdArray,
  target: NdArray,
  weights: NdArray,
): Batch[] {
  let begin = 0;
  return golden.about.batchSizes.map((size) => {
    const part = (array: NdArray) => rows(array, begin, begin + size);
    const batch = { prediction: part(prediction), target: part(target), weights: part(weights) };
    begin += size;
    return batch;
  });
}

function onesLike(array: NdArray): NdArray {
  return { ...array, dtype: 'float32', data: new Float32Array(array.data.length).fill(1) };
}

const goldens = loadGoldens('metrics');
const classification = goldens.filter(({ about }) => about.classes !== undefined);
const streams = goldens.filter(({ about }) => about.classes === undefined);

test('there are goldens of both kinds', () => {
  expect(classification.length).toBeGreaterThan(5);
  expect(streams.length).toBeGreaterThan(0);
});

describe.each(classification.map((golden) => [golden.name, golden] as const))(
  '%s agrees with scikit-learn',
  (_, golden) => {
    const classes = golden.about.classes as number;
    const cases: [string, Metric][] = [
      ['accuracy', accuracy()],
      ['confusion_matrix', confusionMatrix({ classes })],
    ];
    for (const [name, metric] of Object.entries({ precision, recall, f1 })) {
      for (const average of ['macro', 'micro', 'weighted', 'none'] as const) {
        cases.push([`${name}/${average}`, metric({ average, classes })]);
      }
      cases.push([`${name}/macro_present`, metric({ average: 'macro' })]);
      if (classes === 2) cases.push([`${name}/binary`, metric()]);
    }

    describe.each([['plain'], ['sample_weight']])('%s', (kind) => {
      test.each(cases)('%s', async (name, metric) => {
        const weights = toFloat32(golden.get('weights'));
        const batches = batchesOf(
          golden,
          toFloat32(golden.get('logits')),
          golden.integers('labels'),
          kind === 'plain' ? onesLike(weights) : weights,
        );
        const expected = golden.get(`${kind}/${name}`);
        for (const [how, result] of Object.entries(await streamedAndMerged(metric, batches))) {
          const flat = [result].flat(2) as number[];
          expectClose(flat, expected, {
            op: 'metric',
            dtype: 'float64',
            name: `${golden.name}, ${name}, ${how}`,
          });
        }
      });
    });
  },
);

describe.each(streams.map((golden) => [golden.name, golden] as const))(
  '%s agrees with NumPy',
  (_, golden) => {
    test.each([['plain'], ['sample_weight']])('%s', async (kind) => {
      const values = toFloat32(golden.get('values'));
      const weights = toFloat32(golden.get('weights'));
      const batches = batchesOf(golden, values, values, kind === 'plain' ? onesLike(weights) : weights);
      for (const [how, result] of Object.entries(await streamedAndMerged(mean('mean'), batches))) {
        expectClose(result as number, golden.get(`${kind}/mean`), {
          op: 'metric',
          dtype: 'float64',
          name: how,
        });
      }
    });
  },
);
