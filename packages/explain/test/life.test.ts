import {
  type AnyLayer,
  type Backend,
  createKey,
  fromNested,
  type NdArray,
  type TensorSpec,
  type Tree,
  tensorCount,
} from '@tenon-ml/core';
import {
  batchNorm,
  conv2d,
  dense,
  dropout,
  embedding,
  flatten,
  globalAvgPool2d,
  relu,
  sequential,
} from '@tenon-ml/layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { openExplainer } from '../src/index.js';
import { artifactOf, expectError, startedCpu } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await startedCpu();
});

const key = createKey(3);
const images: TensorSpec = { dtype: 'float32', shape: [null, 4, 4, 1] };
const vectors = (size: number): TensorSpec => ({ dtype: 'float32', shape: [null, size] });
const small = () => sequential([conv2d(3, 3), batchNorm(), relu(), flatten(), dense(4), dropout(0.5)]);

describe('update', () => {
  const other = (layer: AnyLayer) => layer.init(createKey(9), vectors(2));
  const model = sequential([dense(3), relu(), dense(2)]);
  const x = key.normal([70, 2]);

  test('takes other weights, which calls under way are not touched by', async () => {
    const before = tensorCount();
    const artifact = artifactOf(model, vectors(2));
    const explainer = await openExplainer(artifact, backend);
    const old = await explainer.saliency(x, { target: 0 });
    const held = tensorCount();
    const { params, state } = other(model as unknown as AnyLayer);
    const underWay = explainer.saliency(x, { target: 0 });
    explainer.update(params, state);
    expect(await underWay).toEqual(old);
    expect(tensorCount()).toBe(held);
    const fresh = await openExplainer({ ...artifact, params, state }, backend);
    const updated = await explainer.saliency(x, { target: 0 });
    expect(updated).toEqual(await fresh.saliency(x, { target: 0 }));
    expect(updated).not.toEqual(old);
    fresh.dispose();
    explainer.dispose();
    explainer.dispose();
    expect(tensorCount()).toBe(before);
  });

  test("refuses another network's weights, and keeps its own", async () => {
    const explainer = await openExplainer(artifactOf(model, vectors(2)), backend);
    const before = [await explainer.saliency(x), tensorCount()];
    const wide = other(sequential([dense(4), relu(), dense(2)]) as unknown as AnyLayer);
    await expectError(() => explainer.update(wide.params, {}), 'SHAPE_MISMATCH', 'dense_1.kernel', '[2, 3]');
    await expectError(() => explainer.update({ dense_1: wide.params.dense_1 }, {}), 'STRUCTURE_MISMATCH');
    expect([await explainer.saliency(x), tensorCount()]).toEqual(before);
    explainer.dispose();
    await expectError(() => explainer.saliency(x), 'TENSOR_CONSUMED', 'disposed');
    await expectError(() => explainer.update(wide.params, {}), 'TENSOR_CONSUMED');
  });
});

describe('errors', () => {
  const pixels = sequential([globalAvgPool2d(), dense(2)]);
  const x = key.normal([2, 4, 4, 1]);
  type Call = (
    explainer: Awaited<ReturnType<typeof openExplainer>>,
    input: Tree<NdArray>,
  ) => Promise<unknown>;
  const rows = [
    [
      'an unknown path',
      small(),
      (e, i) => e.activations(i, ['conv2d_2']),
      'UNKNOWN_NAME',
      "Did you mean 'conv2d_1'",
    ],
    ['of features', small(), (e, i) => e.features(i, { path: 'x' }), 'UNKNOWN_NAME', "no output 'x'"],
    ['of Grad-CAM', small(), (e, i) => e.gradCam(i, { path: 'relu1' }), 'UNKNOWN_NAME', "'relu_1'"],
    [
      'a class that is none',
      small(),
      (e, i) => e.saliency(i, { target: 4 }),
      'LABEL_OUT_OF_RANGE',
      'from 0 to 3, got 4',
    ],
    [
      'of one example',
      small(),
      (e, i) => e.gradCam(i, { target: [0, -1] }),
      'LABEL_OUT_OF_RANGE',
      'example 2',
    ],
    ['half a class', small(), (e, i) => e.saliency(i, { target: 0.5 }), 'LABEL_OUT_OF_RANGE', 'got 0.5'],
    [
      'too few targets',
      small(),
      (e, i) => e.saliency(i, { target: [1] }),
      'SHAPE_MISMATCH',
      'one class, or 2',
    ],
    [
      'no images',
      pixels,
      (e, i) => e.gradCam(i),
      'USAGE',
      'gradCam: expected a network with a layer that gives images',
    ],
    [
      'vectors',
      small(),
      (e, i) => e.gradCam(i, { path: 'flatten_1' }),
      'SHAPE_MISMATCH',
      'got float32 [batch, 12]',
    ],
    [
      'another input',
      small(),
      (e) => e.saliency(fromNested([[1]])),
      'SHAPE_MISMATCH',
      'input: expected float32',
    ],
    [
      'no example',
      small(),
      (e) => e.layers(key.normal([0, 4, 4, 1])),
      'INVALID_ARGUMENT',
      'at least one example',
    ],
    [
      'no prediction',
      small(),
      (e) => e.saliency({ ...x, data: Float32Array.from(x.data).fill(Number.NaN) } as NdArray),
      'NOT_FINITE',
      'example 1',
    ],
  ] as const satisfies readonly (readonly [string, object, Call, string, string])[];

  test.each(rows)('%s', async (_, layer, call, code, message) => {
    const explainer = await openExplainer(artifactOf(layer, images), backend);
    const before = tensorCount();
    await expectError(() => (call as Call)(explainer, x), code, message);
    expect(tensorCount()).toBe(before);
    // It goes on to work.
    await explainer.saliency(x);
    explainer.dispose();
  });

  test('a model without class logits', async () => {
    const artifact = artifactOf(small(), images, { outputActivation: null });
    const explainer = await openExplainer(artifact, backend);
    await expectError(
      () => explainer.saliency(x),
      'USAGE',
      'saliency: expected a model whose output is class logits',
    );
    await expectError(() => explainer.gradCam(x), 'USAGE', 'which are no logits');
    explainer.dispose();
  });

  test('a model of integers', async () => {
    const model = sequential([embedding(5, 3), flatten(), dense(2)]);
    const explainer = await openExplainer(artifactOf(model, { dtype: 'int32', shape: [null, 2] }), backend);
    const ids = fromNested([[1, 2]], 'int32');
    await expectError(
      () => explainer.saliency(ids),
      'USAGE',
      'got int32 [1, 2]',
      'no gradient with respect to integers',
    );
    expect(await explainer.attention(ids)).toEqual({});
    explainer.dispose();
  });
});
