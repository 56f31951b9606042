import { type Backend, createKey, type NdArray, tensorCount } from '@tenon-ml/core';
import {
  avgPool2d,
  batchNorm,
  conv2d,
  dense,
  flatten,
  multiHeadAttention,
  relu,
  sequential,
} from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { expectClose, loadGolden, toFloat32 } from '@tenon-ml/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { openExplainer } from '../src/index.js';
import { artifactOf, goldenNetwork, startedCpu } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await startedCpu();
});

/** The longest chain of sums: through a dense layer of what the second convolution gives. */
const network = { op: 'network', reduction: 45 } as const;

describe.each(['convolutional', 'convolutional_batch_norm'])('%s agrees with PyTorch in float64', (name) => {
  const golden = loadGolden('explanations', name);
  const input = toFloat32(golden.get('input'));
  const target = Array.from(golden.integers('targets').data);

  test('saliency', async () => {
    const before = tensorCount();
    const explainer = await openExplainer(goldenNetwork(golden), backend);
    expectClose(await explainer.saliency(input, { target }), golden.floats('saliency'), network);
    explainer.dispose();
    expect(tensorCount()).toBe(before);
  });

  test('Grad-CAM at every layer that gives images, by default the last', async () => {
    const before = tensorCount();
    const explainer = await openExplainer(goldenNetwork(golden), backend);
    const maps = golden.paths('grad_cam');
    expect(Object.keys(maps).length).toBeGreaterThan(4);
    for (const [path, map] of Object.entries(maps)) {
      const got = await explainer.gradCam(input, { target, path });
      expectClose(got, map, { ...network, name: path });
      if (path === 'relu_2') expect(await explainer.gradCam(input, { target })).toEqual(got);
    }
    explainer.dispose();
    expect(tensorCount()).toBe(before);
  });

  test('activations and features', async () => {
    const explainer = await openExplainer(goldenNetwork(golden), backend);
    const wanted = golden.paths('activation');
    const paths = (await explainer.layers(input)).map(({ path }) => path);
    expect(paths.slice(0, -1).sort()).toEqual(Object.keys(wanted).sort());
    const got = await explainer.activations(input, paths);
    expect(Object.keys(got)).toEqual(paths);
    for (const [path, values] of Object.entries(wanted)) {
      expectClose(got[path], values, { ...network, name: path });
    }
    expectClose(got[paths.at(-1) as string], golden.floats('logits'), network);
    expect(await explainer.features(input)).toEqual(got.flatten_1);
    explainer.dispose();
  });
});

describe.each(['sequential_batch_norm', 'sequential_batch_norm_evaluation'])('gradients, %s', (name) => {
  test('agree with PyTorch in float64', async () => {
    const golden = loadGolden('layers', name);
    const before = tensorCount();
    const layer = sequential([
      conv2d(3, 3, { padding: 'same' }),
      batchNorm(),
      relu(),
      avgPool2d(2, { padding: 'same' }),
      flatten(),
      dense(4),
    ]);
    const weights = { params: toFloat32(golden.tree('params')), state: toFloat32(golden.tree('state')) };
    const artifact = artifactOf(layer, { dtype: 'float32', shape: [null, 7, 5, 2] }, weights);
    const explainer = await openExplainer(artifact, backend);
    const batch = { input: toFloat32(golden.get('input')), target: golden.integers('labels') as NdArray };
    const loss = softmaxCrossEntropy();
    const options = golden.about.training ? { key: createKey(1) } : {};
    const grads = await explainer.gradients(batch, loss, options);
    const wanted = golden.paths('params_grad');
    expect(Object.keys(grads).sort()).toEqual(Object.keys(wanted).sort());
    for (const [path, values] of Object.entries(wanted)) {
      expectClose(grads[path], values, { op: 'network', reduction: 105, name: path });
    }
    if (!golden.about.training) {
      const losses = await explainer.losses(batch, loss);
      const mean = Array.from(losses.data, Number).reduce((a, b) => a + b) / 3;
      expectClose([mean], golden.floats('loss').data, { op: 'network', dtype: 'float32' });
    }
    explainer.dispose();
    expect(tensorCount()).toBe(before);
  });
});

describe.each(['attention', 'attention_causal'])('%s', (name) => {
  test("has PyTorch's weights", async () => {
    const golden = loadGolden('explanations', name);
    const { heads = 1, causal = false } = golden.about;
    const input = toFloat32(golden.get('input'));
    const spec = { dtype: 'float32', shape: [null, ...input.shape.slice(1)] } as const;
    const params = { look: toFloat32(golden.tree('params')) };
    const layer = sequential({ look: multiHeadAttention({ heads, causal }) });
    const before = tensorCount();
    const explainer = await openExplainer(artifactOf(layer, spec, { params }), backend);
    const weights = await explainer.attention(input);
    expect(Object.keys(weights)).toEqual(['look']);
    expectClose(weights.look, golden.floats('weights'), { op: 'network', reduction: input.shape[2] });
    explainer.dispose();
    expect(tensorCount()).toBe(before);
  });
});
