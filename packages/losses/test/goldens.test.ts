import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  type Loss,
  type NdArray,
  read,
  tensorCount,
  tfjsBackend,
  valueAndGrad,
  weightedMean,
} from '@tenon-ml/core';
import { expectClose, type GoldenCase, type LossGolden, loadGoldens, toFloat32 } from '@tenon-ml/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { meanSquaredError, sigmoidCrossEntropy, softmaxCrossEntropy } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

function build({ loss, config }: LossGolden): Loss {
  if (loss === 'softmaxCrossEntropy') return softmaxCrossEntropy(config);
  if (loss === 'sigmoidCrossEntropy') return sigmoidCrossEntropy(config);
  return meanSquaredError();
}

function targetOf(golden: GoldenCase<LossGolden>): NdArray {
  try {
    return golden.integers('target');
  } catch {
    return toFloat32(golden.get('target'));
  }
}

const goldens = loadGoldens('losses');

test('there are goldens of every loss', () => {
  expect(new Set(goldens.map(({ about }) => about.loss)).size).toBe(3);
});

describe.each(goldens.map((golden) => [golden.name, golden] as const))(
  '%s agrees with PyTorch',
  (_, golden) => {
    const loss = build(golden.about);
    const prediction = toFloat32(golden.get('prediction'));
    const target = targetOf(golden);

    test('values and weights', async () => {
      loss.check?.(target, { dtype: 'float32', shape: [null, ...prediction.shape.slice(1)] });
      const { values, weights } = await read(
        compile((p: Tensor, t: Tensor) => ({ ...loss(p, t) }), { backend })(prediction, target),
      );
      expectClose(values, golden.get('values'), { op: 'loss', name: `${golden.name}: values` });
      expectClose(weights, golden.get('loss_weights'), { op: 'exact', name: `${golden.name}: weights` });
    });

    test.each([
      ['', true],
      ['_uniform', false],
    ])('mean%s and its gradient', async (suffix, weighted) => {
      const before = tensorCount();
      const step = compile(
        (p: Tensor, t: Tensor, w: Tensor) => {
          const mean = valueAndGrad((x: Tensor) => weightedMean(loss(x, t), weighted ? w : undefined));
          const { value, grads } = mean(p);
          return { value, grads };
        },
        { backend },
      );
      const { value, grads } = await read(step(prediction, target, toFloat32(golden.get('example_weights'))));
      const reduction = golden.get('values').data.length;
      expectClose(value, golden.get(`mean${suffix}`), {
        op: 'loss',
        reduction,
        name: `${golden.name}: mean${suffix}`,
      });
      expectClose(grads, golden.get(`prediction_grad${suffix}`), {
        op: 'loss',
        name: `${golden.name}: gradient${suffix}`,
      });
      expect(tensorCount()).toBe(before);
    });
  },
);
