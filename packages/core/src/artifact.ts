import { isDType } from './dtype.js';
import { isTenonError, TenonError } from './errors.js';
import { createKey } from './key.js';
import type { AnyLayer, Json, LayerSpec } from './layer.js';
import { bytesOf, type NdArray, sameShape } from './ndarray.js';
import { buildLayer, buildTransform, checkVersion, type Registry } from './registry.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';
import { formatSpec, type TensorSpec } from './spec.js';
import { type ArtifactStore, readJson, writeJson } from './store.js';
import type { Transform, TransformationSpec } from './transform.js';
import { type Params, type Tree, treeEntries, treeMap } from './tree.js';

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
 * Saves a model: `weights.safetensors` (parameters and state by path), then `model.json`, each atomically. The weights
 * carry a copy of the description, so that a save over an older one that dies between the two loads as the new model.
 *
 * Throws `STRUCTURE_MISMATCH` where a parameter and a state have one path.
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
  const metadata = { format: 'tenon-weights', fingerprint, model: JSON.stringify(file) };
  await store.write(weightsPath, writeSafetensors(tensors, metadata));
  await writeJson(store, modelPath, file);
}

/**
 * Reads a saved model back, onto the host. Throws `NOT_FOUND` without `model.json`, `FORMAT_TOO_NEW` for one of a
 * newer version, `UNKNOWN_NAME` for a layer that the registry doesn't have, `ARTIFACT_INVALID` and
 * `SAFETENSORS_INVALID` for files that are damaged or don't hold together.
 */
export async function readModel(store: ArtifactStore, registry: Registry): Promise<ModelArtifact> {
  const where = `${store.location}/${modelPath}`;
  const weightsWhere = `${store.location}/${weightsPath}`;
  const described = checkFile(await readJson(store, modelPath), where);
  const { tensors, metadata } = readSafetensors(await store.read(weightsPath), weightsWhere);
  if (metadata.fingerprint !== fingerprintOf(tensors)) {
    throw broken(
      weightsWhere,
      'the values that were saved',
      'others: their fingerprint is not the one in the file',
      'The file is damaged, or was written by another program: save the model again.',
    );
  }
  // Where the two disagree, a save died between them: the weights know what they belong to.
  const file =
    metadata.fingerprint === described.weights.fingerprint
      ? described
      : checkFile(parse(metadata.model, weightsWhere), weightsWhere);

  const layer = buildLayer(file.layer, registry);
  // What init would make says which arrays there have to be; its values are thrown away.
  const expected = layer.init(createKey(0), file.input);
  const unused = new Set(Object.keys(tensors));
  const take = (template: NdArray, path: string): NdArray => {
    const found = Object.hasOwn(tensors, path) ? tensors[path] : undefined;
    unused.delete(path);
    if (found && found.dtype === template.dtype && sameShape(found.shape, template.shape)) return found;
    throw broken(`${weightsWhere}, ${path}`, formatSpec(template), found ? formatSpec(found) : 'nothing');
  };
  const params = treeMap(expected.params, take) as Params<NdArray>;
  const state = treeMap(expected.state, take) as Params<NdArray>;
  if (unused.size > 0) {
    throw broken(weightsWhere, 'only the arrays of this network', `also ${[...unused].join(', ')}`);
  }
  return {
    layer,
    params,
    state,
    input: file.input,
    output: expected.output,
    preprocessing: file.preprocessing.map((transform, i) =>
      buildTransform(transform, registry, `${where}, preprocessing ${i + 1}`),
    ),
    outputActivation: file.outputActivation,
    classNames: file.classNames,
    card: file.card,
  };
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

/** What JSON holds, as a description of a model; every field that is used is looked at. */
function checkFile(value: unknown, where: string): ModelFile {
  const file = (isRecord(value) ? value : {}) as Partial<ModelFile>;
  if (file.format !== 'tenon-model') throw broken(where, "the format 'tenon-model'", show(file.format));
  checkVersion('model.json', file.version, modelFormatVersion, where);
  const { layer, input, preprocessing, weights, outputActivation, classNames, card } = file;
  if (!isRecord(layer)) throw broken(`${where}, layer`, "a layer's spec", show(layer));
  checkSpecs(input, `${where}, input`);
  if (!Array.isArray(preprocessing)) throw broken(`${where}, preprocessing`, 'a list', show(preprocessing));
  if (!isRecord(weights) || typeof weights.fingerprint !== 'string') {
    throw broken(`${where}, weights`, 'a file and its fingerprint', show(weights));
  }
  if (!['softmax', 'sigmoid', null].includes(outputActivation as string | null)) {
    throw broken(`${where}, outputActivation`, "'softmax', 'sigmoid' or null", show(outputActivation));
  }
  if (
    classNames !== undefined &&
    !(Array.isArray(classNames) && classNames.every((n) => typeof n === 'string'))
  ) {
    throw broken(`${where}, classNames`, 'a list of names', show(classNames));
  }
  if (!isRecord(card)) throw broken(`${where}, card`, 'an object', show(card));
  return file as ModelFile;
}

/** Throws unless this is a tree of `{ shape, dtype }`. */
function checkSpecs(value: unknown, where: string): void {
  if (isRecord(value) && 'dtype' in value && 'shape' in value) {
    const { dtype, shape } = value;
    const sizes = Array.isArray(shape) && shape.every((n) => n === null || (Number.isInteger(n) && n >= 0));
    if (!isDType(dtype) || !sizes) throw broken(where, 'a dtype and a shape', show(value));
    return;
  }
  const children = Array.isArray(value) || isRecord(value) ? Object.entries(value) : [];
  if (children.length === 0) throw broken(where, 'a dtype and a shape, or a tree of them', show(value));
  for (const [name, child] of children) checkSpecs(child, `${where}.${name}`);
}

function parse(text: string | undefined, where: string): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    throw broken(
      where,
      `the weights that ${modelPath} names`,
      'those of another save, which do not say what they belong to',
      'Save the model again.',
    );
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 80);
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
