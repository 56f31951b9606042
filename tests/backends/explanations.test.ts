import {
  type AnyLayer,
  type Backend,
  createKey,
  type ModelArtifact,
  type NdArray,
  ndarray,
  type TensorSpec,
} from '@tenon-ml/core';
import { openExplainer } from '@tenon-ml/explain';
import {
  batchNorm,
  conv2d,
  dense,
  embedding,
  flatten,
  maxPool2d,
  relu,
  residual,
  sequential,
  transformerBlock,
} from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { cpu, expectClose } from '@tenon-ml/testkit';
import { describe, expect, test } from 'vitest';
import { testedBackend, testedDevice } from '../hosts/tested_backend.js';
import { expectSame } from './kernels/reference.js';

const key = createKey(8);

function artifactOf(model: object, input: TensorSpec): ModelArtifact {
  const layer = model as AnyLayer;
  const { params, state, output } = layer.init(key, input);
  return { layer, params, state, input, output, preprocessing: [], outputActivation: 'softmax', card: {} };
}

const images = artifactOf(
  sequential([
    conv2d(4, 3, { padding: 'same' }),
    batchNorm(),
    relu(),
    maxPool2d(2),
    residual(sequential([conv2d(4, 3, { padding: 'same' }), relu()])),
    flatten(),
    dense(5),
  ]),
  { dtype: 'float32', shape: [null, 8, 6, 2] },
);
const text = artifactOf(
  sequential([
    embedding(7, 8, { initializer: 'normal' }),
    transformerBlock({ heads: 2, causal: true }),
    transformerBlock({ heads: 4 }),
    dense(7),
  ]),
  { dtype: 'int32', shape: [null, 6] },
);
const pictures = key.foldIn('pictures').normal([3, 8, 6, 2]);
const labels = ndarray('int32', [3], Int32Array.of(4, 0, 2));
const characters = ndarray(
  'int32',
  [2, 6],
  Int32Array.from(key.bits(12), (word) => word % 7),
);

/** Everything there is to explain, several times over; on a backend that records, the last ones are replayed. */
async function explained(backend: Backend): Promise<{ [name: string]: NdArray }[]> {
  await backend.init();
  const explainer = await openExplainer(images, backend);
  const reader = await openExplainer(text, backend);
  const loss = softmaxCrossEntropy();
  const batch = { input: pictures, target: labels };
  const rounds: { [name: string]: NdArray }[] = [];
  for (let round = 0; round < 4; round++) {
    const target = [1, 3, 0];
    rounds.push({
      saliency: await explainer.saliency(pictures, { target }),
      gradCam: await explainer.gradCam(pictures, { target }),
      'gradCam of conv2d_1': await explainer.gradCam(pictures, { target, path: 'conv2d_1' }),
      features: await explainer.features(pictures),
      losses: await explainer.losses(batch, loss),
      ...(await explainer.activations(pictures, ['batchNorm_1', 'residual_1.body'])),
      ...(await explainer.gradients(batch, loss)),
      ...(await reader.attention(characters)),
      'gradient of the embedding': (
        await reader.gradients({ input: characters, target: characters }, loss, { key })
      )['embedding_1.table'],
    });
  }
  explainer.dispose();
  reader.dispose();
  await backend.dispose();
  return rounds;
}

describe('explanations', () => {
  test('agree with tfjs-backend-cpu, and repeat their bits when they are replayed', async () => {
    const [first, ...again] = await explained(testedBackend());
    for (const round of again) expect(round).toEqual(first);
    const [reference] = await explained(cpu());
    expect(Object.keys(first)).toEqual(Object.keys(reference));
    // Seven of the outputs, eight parameters, two attentions, and one of the reader's parameters.
    expect(Object.keys(first)).toHaveLength(18);
    for (const [name, value] of Object.entries(first)) {
      expectClose(value, reference[name], { op: 'network', reduction: 144, device: testedDevice, name });
    }
    // One row of the weights of each head sums to 1, whatever computes it, and a causal one sees nothing later.
    const causal = first['transformerBlock_1.attention'];
    for (let row = 0; row < 2 * 2 * 6; row++) {
      const weights = Array.from(causal.data.subarray(row * 6, (row + 1) * 6), Number);
      expect(weights.slice((row % 6) + 1).every((weight) => weight === 0)).toBe(true);
      expect(weights.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    }
  });

  test('are the same eager', async () => {
    const [recorded] = await explained(testedBackend());
    const [eager] = await explained(testedBackend({ record: false }));
    expectSame(Object.values(recorded), Object.values(eager), { op: 'network', reduction: 144 });
  });

  test('are of the newest weights, also where they are replayed', async () => {
    const backend = testedBackend();
    await backend.init();
    const { params, state } = images.layer.init(createKey(9), images.input);
    const target = [1, 3, 0];
    const explainer = await openExplainer(images, backend);
    const others = await openExplainer({ ...images, params, state }, backend);
    const old: NdArray[] = [];
    const fresh: NdArray[] = [];
    for (let i = 0; i < 4; i++) {
      old.push(await explainer.saliency(pictures, { target }));
      fresh.push(await others.saliency(pictures, { target }));
    }
    explainer.update(params, state);
    const updated = await explainer.saliency(pictures, { target });
    expect(updated).toEqual(fresh[3]);
    expect(updated).not.toEqual(old[3]);
    await backend.dispose();
  });
});
