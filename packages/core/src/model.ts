import type { Tensor } from '@tensorflow/tfjs-core';
import { type ModelArtifact, type OutputActivation, readModel } from './artifact.js';
import type { Backend } from './backend.js';
import { compile, read, release, upload } from './compile.js';
import { createContext } from './context.js';
import { TenonError } from './errors.js';
import { cast, formatShape, isNdArray, type NdArray, rows, sizeOf } from './ndarray.js';
import type { Registry } from './registry.js';
import { formatSpec, matchesSpec, type TensorSpec } from './spec.js';
import type { ArtifactStore } from './store.js';
import { type Params, type Tree, treeEntries, treeLeaves, treeMap } from './tree.js';

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
      const { outputActivation } = artifact;
      if (!isNdArray(logits) || logits.shape.length !== 2 || outputActivation === null) {
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
        if (!row.every(Number.isFinite)) throw notFinite(i);
        return classification(row, outputActivation, classNames);
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

function notFinite(example: number): TenonError {
  return new TenonError({
    code: 'NOT_FINITE',
    where: `example ${example + 1}`,
    message: "the model's output is not finite",
    hint: 'Look for NaN, infinities and huge numbers in the input.',
  });
}

function classification(
  logits: readonly number[],
  activation: NonNullable<OutputActivation>,
  names?: readonly string[],
): Classification {
  const probabilities = classProbabilities(logits, activation);
  const index = logits.indexOf(Math.max(...logits));
  return { index, label: names?.[index] ?? String(index), probability: probabilities[index], probabilities };
}

/**
 * The probabilities of an example's classes, in float64: exp(x − max x) / Σ exp(x − max x) for 'softmax', 1 / (1 + exp(−x))
 * of each for 'sigmoid'. For logits that are finite.
 */
export function classProbabilities(
  logits: readonly number[],
  activation: NonNullable<OutputActivation>,
): number[] {
  if (activation === 'sigmoid') return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  const largest = Math.max(...logits);
  const exponentials = logits.map((logit) => Math.exp(logit - largest));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return exponentials.map((value) => value / total);
}

/** Throws `SHAPE_MISMATCH` for arrays that are not of the names, dtypes and shapes that a layer takes. */
export function checkInput(input: Tree<NdArray>, expected: Tree<TensorSpec>): void {
  const arrays = treeEntries<NdArray>(input);
  const specs = treeEntries<TensorSpec>(expected);
  const counts = new Set(arrays.map(([, { shape }]) => shape[0]));
  const fits =
    counts.size === 1 &&
    arrays.length === specs.length &&
    specs.every(([path, spec], i) => arrays[i][0] === path && matchesSpec(arrays[i][1], spec));
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
    hint: 'The first axis is the batch, of one size everywhere, also for one example.',
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
