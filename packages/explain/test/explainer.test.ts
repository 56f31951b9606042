import {
  type AnyLayer,
  type Backend,
  createKey,
  fromNested,
  type NdArray,
  ndarray,
  openModel,
  rows,
  sameBits,
  type TensorSpec,
  type Tree,
  tensorCount,
  toNested,
} from '@tenon-ml/core';
import { characters, codePoints, rescale } from '@tenon-ml/data';
import {
  batchNorm,
  conv2d,
  dense,
  dropout,
  embedding,
  flatten,
  globalAvgPool2d,
  layerNorm,
  relu,
  residual,
  sequential,
  transformerBlock,
} from '@tenon-ml/layers';
import { meanSquaredError, softmaxCrossEntropy } from '@tenon-ml/losses';
import { expectClose, expectGradient } from '@tenon-ml/testkit';
import { add, type Tensor } from '@tensorflow/tfjs-core';
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

test('predictions are those of the opened model, of more examples than are computed at once', async () => {
  const artifact = artifactOf(small(), images);
  const [explainer, model] = [await openExplainer(artifact, backend), await openModel(artifact, backend)];
  const input = key.normal([70, 4, 4, 1]);
  expectClose(await explainer.predict(input), (await model.predict(input)) as NdArray, { op: 'network', reduction: 12 });
  explainer.dispose();
  model.dispose();
});

describe('layers', () => {
  test('are listed as they are called, with kinds and shapes', async () => {
    const model = sequential({ stem: sequential([conv2d(3, 3), relu()]), flat: flatten(), head: dense(2) });
    const explainer = await openExplainer(artifactOf(model, images), backend);
    expect(await explainer.layers(key.normal([2, 4, 4, 1]))).toEqual([
      { path: 'stem.conv2d_1', layer: 'conv2d', shape: [null, 2, 2, 3], dtype: 'float32' },
      { path: 'stem.relu_1', layer: 'relu', shape: [null, 2, 2, 3], dtype: 'float32' },
      { path: 'stem', layer: 'sequential', shape: [null, 2, 2, 3], dtype: 'float32' },
      { path: 'flat', layer: 'flatten', shape: [null, 12], dtype: 'float32' },
      { path: 'head', layer: 'dense', shape: [null, 2], dtype: 'float32' },
    ]);
    explainer.dispose();
  });

  test('that are called twice have a path for each call', async () => {
    const model = sequential({ twice: dense(2), last: dense(3) }, { order: ['twice', 'twice', 'last'] });
    const explainer = await openExplainer(artifactOf(model, vectors(2)), backend);
    const x = key.normal([2, 2]);
    expect((await explainer.layers(x)).map(({ path }) => path)).toEqual(['twice', 'twice#2', 'last']);
    const { twice, 'twice#2': again } = await explainer.activations(x, ['twice', 'twice#2']);
    expect(sameBits(twice, again)).toBe(false);
    expect(sameBits((await explainer.activations(twice, ['twice'])).twice, again)).toBe(true);
    explainer.dispose();
  });

  test('that give trees are shown leaf by leaf', async () => {
    const split = {
      spec: { layer: 'split', version: 1 },
      init: (_key: unknown, input: TensorSpec) => ({
        params: {},
        state: {},
        output: { a: input, b: [input] },
      }),
      apply: (_params: object, state: object, x: Tensor) => ({ output: { a: x, b: [add(x, 1)] }, state }),
    };
    const join = {
      spec: { layer: 'join', version: 1 },
      init: (_key: unknown, { a }: { a: TensorSpec }) => ({ params: {}, state: {}, output: a }),
      apply: (_p: object, state: object, { a, b }: { a: Tensor; b: Tensor[] }) => ({
        output: add(a, b[0]),
        state,
      }),
    };
    const model = sequential({ split, join } as never);
    const explainer = await openExplainer(artifactOf(model, vectors(1)), backend);
    const shown = await explainer.activations(fromNested([[1]]), ['split.a', 'split.b.0', 'join']);
    expect(Object.values(shown).map(toNested)).toEqual([[[1]], [[2]], [[3]]]);
    explainer.dispose();
  });
});

describe('what is computed', () => {
  test('is of the preprocessed input, and the same as of the model', async () => {
    const raw = ndarray(
      'uint8',
      [3, 4, 4, 1],
      Uint8Array.from(key.bits(48), (word) => word % 17),
    );
    const plain = artifactOf(small(), images);
    const artifact = { ...plain, preprocessing: [rescale({ scale: 1 / 16 })] };
    const [explainer, other, model] = [
      await openExplainer(artifact, backend),
      await openExplainer(plain, backend),
      await openModel(artifact, backend),
    ];
    const by16 = ndarray(
      'float32',
      raw.shape,
      Float32Array.from(raw.data, (value) => value / 16),
    );
    const target = [0, 3, 1];
    expect(await explainer.saliency(raw, { target })).toEqual(await other.saliency(by16, { target }));
    expect(await explainer.gradCam(raw, { target })).toEqual(await other.gradCam(by16, { target }));
    const { dropout_1 } = await explainer.activations(raw, ['dropout_1']);
    expect(dropout_1).toEqual(await model.predict(raw));
    for (const one of [explainer, other, model]) one.dispose();
  });

  test('is that of the predicted class by default, for each example its own', async () => {
    const artifact = artifactOf(small(), images);
    const explainer = await openExplainer(artifact, backend);
    const model = await openModel(artifact, backend);
    const x = key.normal([9, 4, 4, 1]);
    const target = (await model.classify(x)).map(({ index }) => index);
    expect(new Set(target).size).toBeGreaterThan(1);
    expect(await explainer.saliency(x)).toEqual(await explainer.saliency(x, { target }));
    expect(await explainer.gradCam(x)).toEqual(await explainer.gradCam(x, { target }));
    expect(await explainer.saliency(x)).not.toEqual(await explainer.saliency(x, { target: target[0] }));
    explainer.dispose();
    model.dispose();
  });

  test('does not depend on how many examples there are', async () => {
    const before = tensorCount();
    const explainer = await openExplainer(artifactOf(small(), images), backend);
    // More than are computed at once.
    const x = key.normal([70, 4, 4, 1]);
    const target = Array.from({ length: 70 }, (_, i) => i % 4);
    const labels = ndarray('int32', [70], Int32Array.from(target));
    const loss = softmaxCrossEntropy();
    const all = async (from: number, to: number): Promise<NdArray[]> => {
      const input = rows(x, from, to);
      const options = { target: target.slice(from, to) };
      return [
        await explainer.saliency(input, options),
        await explainer.gradCam(input, options),
        await explainer.features(input),
        ...Object.values(await explainer.activations(input, ['conv2d_1', 'relu_1'])),
        await explainer.losses({ input, target: rows(labels, from, to) }, loss),
      ];
    };
    const [together, alone] = [await all(0, 70), await all(67, 68)];
    for (const [i, array] of together.entries()) {
      expect(array.shape[0]).toBe(70);
      expectClose(rows(array, 67, 68), alone[i], { op: 'network', reduction: 12 });
    }
    explainer.dispose();
    expect(tensorCount()).toBe(before);
  });

  test('saliency is the derivative that differences find', async () => {
    const explainer = await openExplainer(
      artifactOf(sequential([dense(3), layerNorm()]), vectors(2)),
      backend,
    );
    const model = await openModel(artifactOf(sequential([dense(3), layerNorm()]), vectors(2)), backend);
    const x = fromNested([[0.25, -0.75]]);
    const logitAt = new Map<string, number>();
    const points = [0.25, -0.75].flatMap((value, i) => {
      const h = Math.cbrt(2 ** -23) * Math.max(1, Math.abs(value));
      return [Math.fround(value + h), Math.fround(value - h)].map((moved) => {
        const point = Array.from(x.data, Number);
        point[i] = moved;
        return point;
      });
    });
    for (const point of points) {
      const logits = (await model.predict(fromNested([point]))) as NdArray;
      logitAt.set(point.join(), Number(logits.data[1]));
    }
    const saliency = await explainer.saliency(x, { target: 1 });
    expectGradient((point) => logitAt.get(point.join()) as number, x.data, saliency.data, {
      precision: 'float32',
    });
    explainer.dispose();
    model.dispose();
  });

  test('features are what the last layer takes, wherever that stands', async () => {
    const x = key.normal([2, 4]);
    const [stem, head] = [() => sequential([dense(5), relu()]), () => sequential([dense(6), dense(3)])];
    const pathOf = async (layer: object): Promise<string> => {
      const explainer = await openExplainer(artifactOf(layer, vectors(4)), backend);
      const features = await explainer.features(x);
      const paths = (await explainer.layers(x)).map(({ path }) => path);
      const shown = await explainer.activations(x, paths);
      explainer.dispose();
      return paths.filter((path) => sameBits(shown[path], features)).join();
    };
    expect(await pathOf(sequential([dense(5), relu(), dense(3)]))).toBe('relu_1');
    expect(await pathOf(sequential({ stem: stem(), head: head() }))).toBe('head.dense_1');
    // A container that gives what its layer gives, and a layer that does nothing in evaluation.
    expect(await pathOf(sequential({ stem: stem(), head: sequential([dense(3), dropout(0.5)]) }))).toBe(
      'stem.relu_1,stem',
    );
    // One that computes of what is inside it.
    expect(await pathOf(sequential({ stem: stem(), join: residual(head5()) }))).toBe('stem.relu_1,stem');
    const explainer = await openExplainer(artifactOf(dense(3), vectors(4)), backend);
    await expectError(() => explainer.features(x), 'USAGE', 'several layers');
    explainer.dispose();
  });
  const head5 = () => sequential([dense(6), dense(5)]);

  test('features of images are flattened', async () => {
    const explainer = await openExplainer(artifactOf(small(), images), backend);
    const x = key.normal([2, 4, 4, 1]);
    const features = await explainer.features(x, { path: 'conv2d_1' });
    const { conv2d_1 } = await explainer.activations(x, ['conv2d_1']);
    expect(features).toEqual({ ...conv2d_1, shape: [2, 12] });
    explainer.dispose();
  });

  test('attention is of every block of a text model, by its path', async () => {
    const vocabulary = characters('abcd');
    const block = transformerBlock({ heads: 2, causal: true });
    const model = sequential([
      embedding(4, 6, { initializer: 'normal' }),
      block,
      transformerBlock({ heads: 3 }),
      block,
      dense(4),
    ]);
    const artifact = artifactOf(model, { dtype: 'int32', shape: [null, 3] });
    const explainer = await openExplainer({ ...artifact, preprocessing: [vocabulary] }, backend);
    const text = ndarray('int32', [1, 3], codePoints('bad').data);
    const weights = await explainer.attention(text);
    expect(Object.entries(weights).map(([path, { shape }]) => [path, shape])).toEqual([
      ['transformerBlock_1.attention', [1, 2, 3, 3]],
      ['transformerBlock_2.attention', [1, 3, 3, 3]],
      ['transformerBlock_1.attention#2', [1, 2, 3, 3]],
    ]);
    for (const [path, array] of Object.entries(weights)) {
      const heads = (toNested(array) as number[][][][])[0];
      for (const row of heads.flat()) expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
      const seesLater = heads.some(([first]) => first[1] > 0);
      expect(seesLater, path).toBe(path === 'transformerBlock_2.attention');
    }
    await expectError(() => explainer.gradCam(text), 'USAGE', 'class logits [batch, classes]');
    explainer.dispose();
  });
});

describe('gradients and losses', () => {
  const batch = {
    input: fromNested([
      [1, 2],
      [3, -1],
      [0, 1],
    ]),
    target: fromNested([[1], [2], [-1]]),
  };
  const artifact = () => artifactOf(sequential({ line: dense(1) }), vectors(2), { outputActivation: null });

  test('are those of the weighted mean', async () => {
    const explainer = await openExplainer(artifact(), backend);
    const { line } = await explainer.activations(batch.input, ['line']);
    const errors = Array.from(line.data, Number).map((value, i) => value - Number(batch.target.data[i]));
    const loss = meanSquaredError();
    const weight = fromNested([1, 0, 3]);
    const losses = await explainer.losses(batch, loss);
    expect(losses.shape).toEqual([3]);
    expectClose(
      losses,
      errors.map((error) => error ** 2),
      { op: 'loss' },
    );
    // A mean of one is the same with any weight, but 0.
    const weighted = await explainer.losses({ ...batch, weight }, loss);
    expect([...weighted.data]).toEqual([losses.data[0], 0, losses.data[2]]);
    const grads = await explainer.gradients({ ...batch, weight }, loss);
    const factors = [1, 0, 3].map((w, i) => (2 * w * errors[i]) / 4);
    const kernel = [0, 1].map((j) =>
      factors.reduce((total, f, i) => total + f * Number(batch.input.data[2 * i + j]), 0),
    );
    expect(Object.keys(grads)).toEqual(['line.kernel', 'line.bias']);
    expectClose(grads['line.kernel'].data, kernel, { op: 'network', dtype: 'float32' });
    expectClose(grads['line.bias'].data, [factors.reduce((a, b) => a + b)], {
      op: 'network',
      dtype: 'float32',
    });
    explainer.dispose();
  });

  test('of sequences are the mean of their places', async () => {
    const model = sequential([dense(2)]);
    const explainer = await openExplainer(
      artifactOf(model, { dtype: 'float32', shape: [null, 3, 2] }),
      backend,
    );
    const input = key.normal([2, 3, 2]);
    const labels = fromNested(
      [
        [0, 1, -1],
        [1, -1, -1],
      ],
      'int32',
    );
    const loss = softmaxCrossEntropy({ ignoreLabel: -1 });
    const losses = await explainer.losses({ input, target: labels }, loss);
    const { dense_1 } = await explainer.activations(input, ['dense_1']);
    const logits = toNested(dense_1) as number[][][];
    const at = (example: number, place: number, label: number): number =>
      Math.log(logits[example][place].reduce((total, logit) => total + Math.exp(logit), 0)) -
      logits[example][place][label];
    expectClose(losses, [(at(0, 0, 0) + at(0, 1, 1)) / 2, at(1, 0, 1)], { op: 'loss' });
    explainer.dispose();
  });

  test('check targets as training does', async () => {
    const explainer = await openExplainer(artifactOf(sequential([dense(2)]), vectors(2)), backend);
    const wrong = { input: batch.input, target: fromNested([0, 2, 1], 'int32') };
    const loss = softmaxCrossEntropy();
    await expectError(() => explainer.losses(wrong, loss), 'LABEL_OUT_OF_RANGE');
    await expectError(() => explainer.gradients(wrong, loss), 'LABEL_OUT_OF_RANGE');
    explainer.dispose();
  });

  test('are drawn from a key in training, and without one they are not', async () => {
    const model = sequential([dense(8), dropout(0.5), dense(1)]);
    const explainer = await openExplainer(artifactOf(model, vectors(2)), backend);
    const loss = meanSquaredError();
    const of = (options = {}) => explainer.gradients(batch, loss, options);
    expect(await of()).toEqual(await of());
    expect(await of({ key: createKey(1) })).toEqual(await of({ key: createKey(1) }));
    expect(await of({ key: createKey(1) })).not.toEqual(await of({ key: createKey(2) }));
    expect(await of({ key: createKey(1) })).not.toEqual(await of());
    explainer.dispose();
  });
});

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
