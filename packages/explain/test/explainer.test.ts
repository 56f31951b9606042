import {
  type Backend,
  createKey,
  fromNested,
  type NdArray,
  ndarray,
  openModel,
  rows,
  sameBits,
  type TensorSpec,
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
  layerNorm,
  relu,
  residual,
  sequential,
  transformerBlock,
} from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { expectClose, expectGradient } from '@tenon-ml/testkit';
import { add, reshape, type Tensor } from '@tensorflow/tfjs-core';
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
  expectClose(await explainer.predict(input), (await model.predict(input)) as NdArray, {
    op: 'network',
    reduction: 12,
  });
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

  test('Grad-CAM is of the last layer that gives images, not of pixels, queries or keys', async () => {
    const tokens = {
      spec: { layer: 'tokens', version: 1 },
      init: (_key: unknown, { dtype, shape: [batch, height, width, channels] }: TensorSpec) => ({
        params: {},
        state: {},
        output: { dtype, shape: [batch, Number(height) * Number(width), channels] },
      }),
      apply: (_params: object, state: object, x: Tensor) => ({
        output: reshape(x, [x.shape[0], -1, x.shape[3] as number]),
        state,
      }),
    };
    const x = key.normal([2, 4, 4, 1]);
    const target = 1;
    for (const model of [
      sequential([conv2d(3, 3), conv2d(4, 2), flatten(), dense(2)]),
      sequential([conv2d(4, 3), tokens as never, transformerBlock({ heads: 2 }), flatten(), dense(2)]),
    ]) {
      const explainer = await openExplainer(artifactOf(model, images), backend);
      const map = await explainer.gradCam(x, { target });
      expect(map.shape).toEqual([2, 2, 2]);
      expect(map).toEqual(await explainer.gradCam(x, { target, path: 'conv2d_1' }));
      explainer.dispose();
    }
  });

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
