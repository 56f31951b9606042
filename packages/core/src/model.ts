import type { Tensor } from '@tensorflow/tfjs-core';
import type { Backend } from './backend.js';
import { compile, read, release, upload } from './compile.js';
import { createContext } from './context.js';
import { isTenonError, TenonError } from './errors.js';
import { createKey } from './key.js';
import type { AnyLayer, Json, LayerSpec } from './layer.js';
import { bytesOf, cast, formatShape, isNdArray, type NdArray, rows, sameShape, sizeOf } from './ndarray.js';
import { buildLayer, buildTransform, checkVersion, type Registry } from './registry.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';
import { formatSpec, type TensorSpec } from './spec.js';
import { type ArtifactStore, readJson, writeJson } from './store.js';
import type { Transform, TransformationSpec } from './transform.js';
import { type Params, type Tree, treeEntries, treeLeaves, treeMap } from './tree.js';

/** The version of `model.json` that this build writes; it reads every version up to this one. */
export const modelFormatVersion = 1;

/** What turns the outputs of a classifier into probabilities; null for outputs that aren't logits. */
export type OutputActivation = 'softmax' | 'sigmoid' | null;

/** What people want to know of a model, and no program needs: the model card. */
export interface ModelCard {
  readonly name?: string;
  readonly description?: string;
  /** What it was trained on, with its source. */
  readonly data?: string;
  readonly licence?: string;
  /** Final figures: `{ test: { loss: 0.1, accuracy: 0.98 } }`. */
  readonly metrics?: Json;
}

/** A trained model on the host: everything that a saved model holds. */
export interface ModelArtifact {
  readonly layer: AnyLayer;
  readonly params: Params<NdArray>;
  readonly state: Params<NdArray>;
  /** What the layer takes, after preprocessing; null for the batch. */
  readonly input: Tree<TensorSpec>;
  readonly output: Tree<TensorSpec>;
  /** What turns raw input into the layer's, in this order. */
  readonly preprocessing: readonly Transform[];
  readonly outputActivation: OutputActivation;
  readonly classNames?: readonly string[];
  readonly card: ModelCard;
}

interface ModelFile {
  readonly format: 'tenon-model';
  readonly version: number;
  readonly layer: LayerSpec;
  readonly input: Tree<TensorSpec>;
  readonly output: Tree<TensorSpec>;
  readonly preprocessing: readonly TransformationSpec[];
  readonly outputActivation: OutputActivation;
  readonly classNames?: readonly string[];
  readonly weights: { readonly file: string; readonly fingerprint: string };
  readonly card: ModelCard;
}

const modelPath = 'model.json';
const weightsPath = 'weights.safetensors';

/**
 * Saves a model: `weights.safetensors` (parameters and state by path), then `model.json`. Each is written atomically,
 * and each names the other's fingerprint, so that a model of which only one was replaced is found out by `loadModel`.
 */
export async function saveModel(store: ArtifactStore, artifact: ModelArtifact): Promise<void> {
  const tensors: Record<string, NdArray> = {};
  for (const [path, array] of [
    ...treeEntries<NdArray>(artifact.params),
    ...treeEntries<NdArray>(artifact.state),
  ]) {
    if (Object.hasOwn(tensors, path)) {
      throw new TenonError({
        code: 'STRUCTURE_MISMATCH',
        where: path,
        message: 'a parameter and a state have this same path',
        hint: 'Give one of them another name in the layer.',
      });
    }
    tensors[path] = array;
  }
  const fingerprint = fingerprintOf(tensors);
  const { layer, input, output, preprocessing, outputActivation, classNames, card } = artifact;
  const file: ModelFile = {
    format: 'tenon-model',
    version: modelFormatVersion,
    layer: layer.spec,
    input,
    output,
    preprocessing: preprocessing.map(({ spec }) => spec),
    outputActivation,
    classNames,
    weights: { file: weightsPath, fingerprint },
    card,
  };
  await store.write(weightsPath, writeSafetensors(tensors, { format: 'tenon-weights', fingerprint }));
  await writeJson(store, modelPath, file);
}

/**
 * Reads a saved model back, onto the host. Throws `NOT_FOUND` without `model.json`, `FORMAT_TOO_NEW` for one of a
 * newer version, `UNKNOWN_NAME` for a layer that the registry doesn't have, `ARTIFACT_INVALID` and
 * `SAFETENSORS_INVALID` for files that don't hold together.
 */
export async function readModel(store: ArtifactStore, registry: Registry): Promise<ModelArtifact> {
  const where = `${store.location}/${modelPath}`;
  const file = (await readJson(store, modelPath)) as Partial<ModelFile> | null;
  if (file?.format !== 'tenon-model')
    throw broken(where, "the format 'tenon-model'", JSON.stringify(file?.format));
  checkVersion('model.json', file.version, modelFormatVersion, where);
  const { layer: spec, input, preprocessing = [], weights } = file;
  if (!spec || !input || !weights)
    throw broken(where, "the fields 'layer', 'input' and 'weights'", Object.keys(file).join(', '));

  const layer = buildLayer(spec, registry);
  const weightsWhere = `${store.location}/${weightsPath}`;
  const { tensors, metadata } = readSafetensors(await store.read(weightsPath), weightsWhere);
  if (metadata.fingerprint !== weights.fingerprint) {
    throw broken(
      weightsWhere,
      `the weights with the fingerprint ${weights.fingerprint}, which ${modelPath} names`,
      `${metadata.fingerprint}`,
      'The two files come from different saves: save the model again.',
    );
  }
  // What init would make says which arrays there have to be; its values are thrown away.
  const expected = layer.init(createKey(0), input);
  const unused = new Set(Object.keys(tensors));
  const take = (template: NdArray, path: string): NdArray => {
    const found = Object.hasOwn(tensors, path) ? tensors[path] : undefined;
    unused.delete(path);
    if (found && found.dtype === template.dtype && sameShape(found.shape, template.shape)) return found;
    throw broken(`${weightsWhere}, ${path}`, formatSpec(template), found ? formatSpec(found) : 'nothing');
  };
  const params = treeMap(expected.params, take) as Params<NdArray>;
  const state = treeMap(expected.state, take) as Params<NdArray>;
  if (unused.size > 0)
    throw broken(weightsWhere, 'only the arrays of this network', `also ${[...unused].join(', ')}`);
  return {
    layer,
    params,
    state,
    input,
    output: expected.output,
    preprocessing: preprocessing.map((transform, i) =>
      buildTransform(transform, registry, `${where}, preprocessing ${i + 1}`),
    ),
    outputActivation: file.outputActivation ?? null,
    classNames: file.classNames,
    card: file.card ?? {},
  };
}

/** One example's class: what `classify` returns, the most probable first in `probabilities`. */
export interface Classification {
  readonly index: number;
  /** The class's name, or its number where the model has no names. */
  readonly label: string;
  readonly probability: number;
  /** Of every class, in the order of the classes. */
  readonly probabilities: readonly number[];
}

/** A model that is ready to predict. */
export interface Model {
  readonly artifact: ModelArtifact;
  /** The outputs for a batch of raw inputs [batch, …]; preprocessing is applied here. */
  predict(input: Tree<NdArray>): Promise<Tree<NdArray>>;
  /** Classes and probabilities for a batch. Throws `USAGE` for a model whose outputs aren't class logits. */
  classify(input: Tree<NdArray>): Promise<Classification[]>;
  /** Frees the weights on the backend. */
  dispose(): void;
}

/** A saved model, on a backend. See `readModel` for what it throws. */
export async function loadModel(
  store: ArtifactStore,
  options: { readonly registry: Registry; readonly backend: Backend },
): Promise<Model> {
  return openModel(await readModel(store, options.registry), options.backend);
}

/** An artifact as a model that is ready to predict. */
export async function openModel(artifact: ModelArtifact, backend: Backend): Promise<Model> {
  await backend.init();
  const { layer, classNames } = artifact;
  const weights = upload({ params: artifact.params, state: artifact.state }, backend);
  const forward = compile(
    (params: Params<Tensor>, state: Params<Tensor>, input: Tree<Tensor>) =>
      layer.apply(params, state, input, createContext({ training: false })).output,
    { backend, name: 'predict' },
  );
  const predict = async (raw: Tree<NdArray>): Promise<Tree<NdArray>> => {
    const input = preprocess(artifact, raw);
    checkInput(input, artifact.input);
    const count = treeLeaves<NdArray>(input)[0].shape[0];
    const parts: Tree<NdArray>[] = [];
    for (let begin = 0; begin < count || parts.length === 0; begin += chunk) {
      const part = treeMap<NdArray, NdArray>(input, (array) =>
        rows(array, begin, Math.min(count, begin + chunk)),
      );
      parts.push((await read(forward(weights.params, weights.state, part))) as Tree<NdArray>);
    }
    return concatenate(parts);
  };
  return {
    artifact,
    predict,
    async classify(raw) {
      const logits = await predict(raw);
      if (!isNdArray(logits) || logits.shape.length !== 2 || artifact.outputActivation === null) {
        throw new TenonError({
          code: 'USAGE',
          where: 'classify',
          expected: 'a model whose output is class logits [batch, classes]',
          got: isNdArray(logits) ? formatShape(logits.shape) : 'a tree of outputs',
          hint: 'Use predict(), which gives the outputs as they are.',
        });
      }
      const classes = logits.shape[1];
      return Array.from({ length: logits.shape[0] }, (_, i) => {
        const row = Array.from(logits.data.subarray(i * classes, (i + 1) * classes) as Float32Array);
        return classification(row, artifact.outputActivation, classNames);
      });
    },
    dispose: () => release(weights),
  };
}

/** Raw input as the layer takes it: each transform in turn, integers widened to float32 where that is expected. */
export function preprocess(
  artifact: Pick<ModelArtifact, 'preprocessing' | 'input'>,
  raw: Tree<NdArray>,
): Tree<NdArray> {
  const { preprocessing, input } = artifact;
  if (preprocessing.length > 0 && !isNdArray(raw)) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'preprocessing',
      expected: 'one array as the input, since transforms take one',
      got: 'a tree of arrays',
    });
  }
  const transformed = preprocessing.reduce((array, transform) => transform.apply(array), raw as NdArray);
  const wanted = treeLeaves<TensorSpec>(input);
  let next = 0;
  return treeMap<NdArray, NdArray>(transformed as Tree<NdArray>, (array) => {
    const dtype = wanted[next++]?.dtype;
    // Lossless for the small integers of images; everything else is left for checkInput to name.
    return dtype === 'float32' && /^u?int(8|16)$/.test(array.dtype) ? cast(array, 'float32') : array;
  });
}

const chunk = 256;

function classification(
  logits: readonly number[],
  activation: OutputActivation,
  names?: readonly string[],
): Classification {
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  const probabilities =
    activation === 'softmax'
      ? exponentials.map((value) => value / total)
      : logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  const index = logits.indexOf(largest);
  return { index, label: names?.[index] ?? String(index), probability: probabilities[index], probabilities };
}

/** Throws `SHAPE_MISMATCH` for arrays that are not of the names, dtypes and shapes that a layer takes. */
export function checkInput(input: Tree<NdArray>, expected: Tree<TensorSpec>): void {
  const arrays = treeEntries<NdArray>(input);
  const specs = treeEntries<TensorSpec>(expected);
  const fits =
    arrays.length === specs.length &&
    specs.every(([path, spec], i) => {
      const [name, array] = arrays[i];
      return (
        name === path &&
        array.dtype === spec.dtype &&
        array.shape.length === spec.shape.length &&
        spec.shape.every((n, axis) => n === null || n === array.shape[axis])
      );
    });
  if (fits) return;
  const list = (entries: readonly [string, TensorSpec][]): string =>
    entries
      .map(
        ([path, spec]) =>
          `${path ? `${path}: ` : ''}${formatSpec({ dtype: spec.dtype, shape: [...spec.shape] })}`,
      )
      .join(', ');
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where: 'input',
    expected: list(specs),
    got: list(arrays),
    hint: 'The first axis is the batch, also for one example.',
  });
}

function concatenate(parts: readonly Tree<NdArray>[]): Tree<NdArray> {
  if (parts.length === 1) return parts[0];
  const columns = parts.map((part) => treeLeaves<NdArray>(part));
  let next = 0;
  return treeMap<NdArray, NdArray>(parts[0], (first) => {
    const pieces = columns.map((leaves) => leaves[next]);
    next++;
    const shape = [pieces.reduce((sum, piece) => sum + piece.shape[0], 0), ...first.shape.slice(1)];
    const data = first.data.slice(0, 0).constructor as unknown as new (length: number) => Float32Array;
    const joined = new data(sizeOf(shape));
    let offset = 0;
    for (const piece of pieces) {
      joined.set(piece.data as Float32Array, offset);
      offset += piece.data.length;
    }
    return { dtype: first.dtype, shape, data: joined } as NdArray;
  });
}

/** FNV-1a over names and bytes, in 2 × 32 bits: it tells saves apart, and proves nothing against an attacker. */
function fingerprintOf(tensors: { readonly [name: string]: NdArray }): string {
  const hash = new Uint32Array([0x811c9dc5, 0x9747b28c]);
  const add = (bytes: Uint8Array): void => {
    let [a, b] = hash;
    for (const byte of bytes) {
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b ^ byte, 0x85ebca6b);
    }
    hash[0] = a;
    hash[1] = b;
  };
  for (const name of Object.keys(tensors).sort()) {
    add(new TextEncoder().encode(name));
    add(bytesOf(tensors[name].data));
  }
  return Array.from(hash, (word) => word.toString(16).padStart(8, '0')).join('');
}

function broken(where: string, expected: string, got: string, hint?: string): TenonError {
  return new TenonError({ code: 'ARTIFACT_INVALID', where, expected, got, hint });
}

/** Whether a store holds a saved model. */
export async function hasModel(store: ArtifactStore): Promise<boolean> {
  try {
    await store.read(modelPath);
    return true;
  } catch (error) {
    if (isTenonError(error) && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
