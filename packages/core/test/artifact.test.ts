import { add, mul, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import {
  type AnyLayer,
  type ArtifactStore,
  createRegistry,
  defineLayer,
  defineTransform,
  type ErrorCode,
  hasModel,
  loadModel,
  type ModelArtifact,
  memoryStore,
  type NdArray,
  ndarray,
  openModel,
  readModel,
  saveModel,
  tensorCount,
  tfjsBackend,
  toNested,
} from '../src/index.js';
import '@tensorflow/tfjs-backend-cpu';
import { errorOf } from './support.js';

const backend = tfjsBackend('cpu');

async function expectError(promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  const error = await errorOf(() => promise);
  expect(error.code, error.message).toBe(code);
  expect(error.message).toMatch(message);
}

/** y = scale·x + shift, with the shift as state. */
const affine = (): AnyLayer => ({
  spec: { layer: 'affine', version: 1 },
  init: (_, input) => ({
    params: { inner: { scale: ndarray('float32', [2], Float32Array.of(1, 1)) } },
    state: { shift: ndarray('float32', [2], Float32Array.of(0, 0)) },
    output: input,
  }),
  apply: (params, state, input) => ({
    output: add(mul(input as Tensor, (params.inner as { scale: Tensor }).scale), state.shift as Tensor),
    state,
  }),
});
const halve = {
  spec: { transform: 'halve', version: 1 },
  apply: (input: NdArray) =>
    ndarray(
      'float32',
      input.shape,
      Float32Array.from(input.data as Uint8Array, (x) => x / 2),
    ),
};
const registry = createRegistry(
  defineLayer({ name: 'affine', version: 1, build: affine }),
  defineTransform({ name: 'halve', version: 1, build: () => halve }),
);

const artifact = (shift = 1): ModelArtifact => ({
  layer: affine(),
  params: { inner: { scale: ndarray('float32', [2], Float32Array.of(2, 3)) } },
  state: { shift: ndarray('float32', [2], Float32Array.of(shift, 0)) },
  input: { dtype: 'float32', shape: [null, 2] },
  output: { dtype: 'float32', shape: [null, 2] },
  preprocessing: [halve],
  outputActivation: 'softmax',
  classNames: ['first', 'second'],
  card: { name: 'affine', metrics: { test: { accuracy: 1 } } },
});
const bytes = (...values: number[]) => ndarray('uint8', [values.length / 2, 2], Uint8Array.from(values));

async function saved(shift = 1): Promise<ArtifactStore> {
  const store = memoryStore();
  await saveModel(store, artifact(shift));
  return store;
}
async function edited(edit: (file: Record<string, unknown>) => void): Promise<ArtifactStore> {
  const store = await saved();
  const file = JSON.parse(new TextDecoder().decode(await store.read('model.json')));
  edit(file);
  await store.write('model.json', new TextEncoder().encode(JSON.stringify(file)));
  return store;
}

test('what is saved is read back: layer, arrays, preprocessing, names, card', async () => {
  const store = await saved();
  expect(await store.list()).toEqual(['model.json', 'weights.safetensors']);
  expect(await hasModel(store)).toBe(true);
  expect(await hasModel(memoryStore())).toBe(false);
  const { layer, preprocessing, ...rest } = await readModel(store, registry);
  const { layer: _, preprocessing: __, ...expected } = artifact();
  expect(rest).toEqual(expected);
  expect(layer.spec).toEqual({ layer: 'affine', version: 1 });
  expect(preprocessing.map(({ spec }) => spec)).toEqual([{ transform: 'halve', version: 1 }]);
});

test('the same model gives the same bytes', async () => {
  const [a, b] = [await saved(), await saved()];
  for (const path of await a.list()) expect(await a.read(path)).toEqual(await b.read(path));
});

test('predicts from raw input, in chunks, and classifies; freed, it leaves nothing', async () => {
  await backend.init();
  const before = tensorCount();
  const model = await loadModel(await saved(), { registry, backend });
  expect(toNested((await model.predict(bytes(2, 4))) as NdArray)).toEqual([[3, 6]]);
  const many = Array.from({ length: 2 * 600 }, (_, i) => i % 200);
  const all = (await model.predict(bytes(...many))) as NdArray;
  expect(all.shape).toEqual([600, 2]);
  expect(Array.from(all.data as Float32Array)).toEqual(many.map((x, i) => (i % 2 === 0 ? x + 1 : 1.5 * x)));
  expect(((await model.predict(bytes())) as NdArray).shape).toEqual([0, 2]);
  const [{ index, label, probability, probabilities }] = await model.classify(bytes(2, 4));
  expect({ index, label }).toEqual({ index: 1, label: 'second' });
  expect(probability).toBeCloseTo(1 / (1 + Math.exp(-3)), 12);
  expect(probabilities[0] + probabilities[1]).toBeCloseTo(1, 12);
  model.dispose();
  expect(tensorCount()).toBe(before);
});

test('sigmoid outputs are probabilities by themselves', async () => {
  const model = await openModel(
    { ...artifact(), outputActivation: 'sigmoid', classNames: undefined },
    backend,
  );
  const [{ label, probabilities }] = await model.classify(bytes(2, 4));
  expect(label).toBe('1');
  expect(probabilities[0]).toBeCloseTo(1 / (1 + Math.exp(-3)), 12);
  model.dispose();
});

test('input of another shape, outputs that are no logits, logits that are not finite', async () => {
  const model = await openModel({ ...artifact(), preprocessing: [] }, backend);
  const plain = await openModel({ ...artifact(), outputActivation: null }, backend);
  await expectError(
    model.predict(ndarray('float32', [2], new Float32Array(2))),
    'SHAPE_MISMATCH',
    /float32 \[batch, 2\].*first axis is the batch/,
  );
  await expectError(
    model.predict(ndarray('int32', [1, 2], new Int32Array(2))),
    'SHAPE_MISMATCH',
    /got int32/,
  );
  await expectError(plain.classify(bytes(1, 2)), 'USAGE', /predict\(\)/);
  await expectError(
    model.classify(ndarray('float32', [2, 2], Float32Array.of(1, 2, Number.NaN, 1))),
    'NOT_FINITE',
    /^example 2: the model's output is not finite/,
  );
  model.dispose();
  plain.dispose();
});

test('inputs of different batch sizes are refused', async () => {
  const both: AnyLayer = {
    ...affine(),
    init: () => ({ params: {}, state: {}, output: { dtype: 'float32', shape: [null, 2] } }),
    apply: (_, state, input) => ({ output: (input as { a: Tensor }).a, state }),
  };
  const spec = { dtype: 'float32', shape: [null, 2] } as const;
  const model = await openModel(
    { ...artifact(), layer: both, params: {}, state: {}, input: { a: spec, b: spec }, preprocessing: [] },
    backend,
  );
  const zeros = (n: number) => ndarray('float32', [n, 2], new Float32Array(2 * n));
  expect(((await model.predict({ a: zeros(3), b: zeros(3) })) as NdArray).shape).toEqual([3, 2]);
  await expectError(model.predict({ a: zeros(3), b: zeros(1) }), 'SHAPE_MISMATCH', /of one size everywhere/);
  model.dispose();
});

test('a save that dies between its two files loads as the new model', async () => {
  const store = await saved(1);
  const newer = await saved(9);
  await store.write('weights.safetensors', await newer.read('weights.safetensors'));
  const { state } = await readModel(store, registry);
  expect(toNested(state.shift as NdArray)).toEqual([9, 0]);
});

test('a flipped bit in the weights is found', async () => {
  const store = await saved();
  const weights = await store.read('weights.safetensors');
  weights[weights.length - 1] ^= 0x40;
  await store.write('weights.safetensors', weights);
  await expectError(readModel(store, registry), 'ARTIFACT_INVALID', /weights\.safetensors.*damaged/);
});

test('a parameter and a state with one path', async () => {
  const clash = { ...artifact(), state: { inner: { scale: ndarray('float32', [2], new Float32Array(2)) } } };
  await expectError(saveModel(memoryStore(), clash), 'STRUCTURE_MISMATCH', /inner\.scale/);
});

test.each<[string, (file: Record<string, unknown>) => void, string, RegExp]>([
  ['another format', (file) => Object.assign(file, { format: 'x' }), 'ARTIFACT_INVALID', /tenon-model/],
  ['a newer version', (file) => Object.assign(file, { version: 2 }), 'FORMAT_TOO_NEW', /version 2.*update/],
  ['no layer', (file) => Object.assign(file, { layer: 3 }), 'ARTIFACT_INVALID', /layer/],
  [
    'an unknown layer',
    (file) => Object.assign(file, { layer: { layer: 'afine', version: 1 } }),
    'UNKNOWN_NAME',
    /'affine'/,
  ],
  ['no input', (file) => Object.assign(file, { input: 'x' }), 'ARTIFACT_INVALID', /input/],
  [
    'an input of half a size',
    (file) => Object.assign(file, { input: { dtype: 'float32', shape: [1.5] } }),
    'ARTIFACT_INVALID',
    /input/,
  ],
  [
    'preprocessing that is no list',
    (file) => Object.assign(file, { preprocessing: {} }),
    'ARTIFACT_INVALID',
    /preprocessing/,
  ],
  [
    'an unknown transform',
    (file) => Object.assign(file, { preprocessing: [{ transform: 'double', version: 1 }] }),
    'UNKNOWN_NAME',
    /preprocessing 1/,
  ],
  [
    'another activation',
    (file) => Object.assign(file, { outputActivation: 'tanh' }),
    'ARTIFACT_INVALID',
    /softmax/,
  ],
  [
    'class names that are numbers',
    (file) => Object.assign(file, { classNames: [1] }),
    'ARTIFACT_INVALID',
    /classNames/,
  ],
  ['no fingerprint', (file) => Object.assign(file, { weights: {} }), 'ARTIFACT_INVALID', /weights/],
  ['no card', (file) => Object.assign(file, { card: null }), 'ARTIFACT_INVALID', /card/],
])('model.json with %s', async (_, edit, code, message) => {
  await expectError(readModel(await edited(edit), registry), code as ErrorCode, message);
});
