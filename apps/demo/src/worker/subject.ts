import {
  type ArtifactStore,
  type Backend,
  createKey,
  createRegistry,
  type ModelArtifact,
  type NdArray,
  readJson,
  readModel,
  TenonError,
  type TensorSpec,
  zeros,
} from '@tenon-ml/core';
import { type Dataset, type Example, isCharacters, transforms } from '@tenon-ml/data';
import { digitsInfo } from '@tenon-ml/data/digits';
import {
  type DocumentData,
  type ExperimentDocument,
  loadDocumentData,
  originDocument,
  splitDocumentData,
} from '@tenon-ml/experiment';
import { type Explainer, openExplainer } from '@tenon-ml/explain';
import { layers } from '@tenon-ml/layers/all';
import { openData } from './data.js';
import { digitOf, exampleOf } from './inputs.js';
import type { RunOrigin } from './protocol.js';
import type { SubjectInfo, SubjectInput } from './protocol_subject.js';
import type { RunInside } from './run.js';

export type Examples = Dataset<Example<NdArray, NdArray>>;

/** What is looked into: a network with weights, the data that belongs to it where that is here, and where it computes. */
export interface Subject {
  readonly artifact: ModelArtifact;
  readonly explainer: Explainer;
  readonly data: DocumentData | null;
  /** Raw examples, one by one, of all classes in turn; those of the training come without augmentation. */
  readonly parts: { readonly train: Examples; readonly held: Examples } | null;
  /** The step of the weights; null for a model from a file. */
  readonly step: number | null;
}

/** The subject of a run that is in this worker, with its weights as they are. */
export async function subjectOfRun(
  inside: RunInside,
  origin: RunOrigin,
  before: Subject | null,
): Promise<Subject> {
  const step = inside.step();
  if (before && before.step === step) return before;
  const artifact = await inside.trainer.artifact();
  if (before) {
    before.explainer.update(artifact.params, artifact.state);
    return { ...before, artifact, step };
  }
  const data = await loadDocumentData(origin.document.data, await openData(origin.dataId));
  const parts = await partsOf(origin.document, data, origin.document.seed);
  const explainer = await openExplainer(artifact, inside.backend);
  return { artifact, explainer, data, parts, step };
}

/**
 * The run's parts, each in an order of its own that is always the same: files have one class after the other, and only the
 * first examples are looked at where there are many.
 */
async function partsOf(
  document: ExperimentDocument,
  data: DocumentData,
  seed: number,
): Promise<NonNullable<Subject['parts']>> {
  const parts = await splitDocumentData(document, data, createKey(seed).foldIn('setup'));
  const mixed = (examples: Examples): Examples => examples.shuffle({ key: createKey(0).foldIn('look') });
  return { train: mixed(parts.train), held: mixed(parts.validation ?? parts.test ?? parts.train) };
}

const registry = createRegistry(layers, transforms);

/**
 * The subject of a saved model. Where its folder says which experiment it is of, and that needs no files or they lie
 * beside it, its data is here too. Throws what `readModel` throws.
 */
export async function subjectOfStore(
  store: ArtifactStore,
  files: ArtifactStore | undefined,
  backend: Backend,
): Promise<Subject> {
  const artifact = await readModel(store, registry);
  const explainer = await openExplainer(artifact, backend);
  const found = await dataOfStore(store, files);
  return { artifact, explainer, ...found, step: null };
}

async function dataOfStore(
  store: ArtifactStore,
  files: ArtifactStore | undefined,
): Promise<Pick<Subject, 'data' | 'parts'>> {
  const none = { data: null, parts: null };
  if ((await store.list('run.json')).length === 0) return none;
  const { origin = null, seed = 0 } = (await readJson(store, 'run.json')) as {
    origin?: Parameters<typeof originDocument>[0];
    seed?: number;
  };
  const document = originDocument(origin);
  if (!document || (document.data.source !== 'digits' && !files)) return none;
  const data = await loadDocumentData(document.data, files);
  return { data, parts: await partsOf(document, data, seed) };
}

/** [height, width, channels] of a network of images. */
export function imageShape(artifact: ModelArtifact): readonly [number, number, number] | null {
  const { shape } = artifact.input as TensorSpec;
  if (shape?.length !== 4 || shape.includes(null, 1)) return null;
  const [, height, width, channels] = shape as number[];
  return channels === 1 || channels === 3 ? [height, width, channels] : null;
}

/** The least and the greatest raw value of a picture: those of the data, or a guess for a model without it. */
export function rangeOf(subject: Subject): readonly [number, number] {
  if (subject.data) return subject.data.range;
  return isDigits(subject) ? [0, 16] : [0, 255];
}

/** Whether it is a network of the embedded digits; of a model without its data, whether it takes 8 × 8 greys. */
export function isDigits({ artifact, data }: Pick<Subject, 'artifact' | 'data'>): boolean {
  if (data) return data.info?.name === digitsInfo.name;
  return imageShape(artifact)?.join() === '8,8,1';
}

export async function infoOf(subject: Subject, neighbours: number): Promise<SubjectInfo> {
  const { artifact, data, step } = subject;
  const image = imageShape(artifact);
  const [first] = artifact.preprocessing;
  const vocabulary = first && isCharacters(first) ? first.names.length : 0;
  const regression = artifact.outputActivation === null && vocabulary === 0;
  return {
    kind: vocabulary > 0 ? 'text' : image ? 'images' : 'table',
    step,
    image,
    drawn: isDigits(subject),
    classNames: artifact.classNames ?? data?.classNames ?? [],
    featureNames: data?.featureNames ?? [],
    features: image || vocabulary > 0 ? 0 : Number((artifact.input as TensorSpec).shape?.[1] ?? 0),
    vocabulary,
    ...(image ? await imageLayers(subject, image) : { imageLayers: [], gradCamLayer: '' }),
    neighbours,
    regression,
  };
}

/** Fewer pixels a side than this show little over a picture. */
const ENOUGH = 4;

/** The outputs that Grad-CAM can look at: images that are more than a pixel. */
async function imageLayers(
  { explainer }: Subject,
  shape: readonly number[],
): Promise<Pick<SubjectInfo, 'imageLayers' | 'gradCamLayer'>> {
  const shown = await explainer.layers(zeros([1, ...shape], 'uint8'));
  const images = shown.filter(
    ({ shape: [, height, , channels], layer }) => layer && channels !== undefined && Number(height) > 1,
  );
  const last = images.findLast(({ shape: [, height] }) => Number(height) >= ENOUGH) ?? images.at(-1);
  return { imageLayers: images.map(({ path }) => path), gradCamLayer: last?.path ?? '' };
}

/** An input as the network's preprocessing takes it: a batch of one. Throws `DATA_INVALID` for an empty drawing. */
export async function rawInput(subject: Subject, input: SubjectInput): Promise<NdArray> {
  if ('example' in input) return batchOfOne((await heldExample(subject, input.example)).input);
  if ('features' in input) {
    const data = Float32Array.from(input.features);
    return { dtype: 'float32', shape: [1, data.length], data };
  }
  const shape = imageShape(subject.artifact);
  if (!shape) throw new TenonError({ code: 'USAGE', message: 'This model takes no pictures.' });
  if (!isDigits(subject)) return batchOfOne(exampleOf(input.picture, shape, rangeOf(subject)));
  const digit = digitOf(input.picture);
  if (digit) return batchOfOne(digit);
  throw new TenonError({
    code: 'DATA_INVALID',
    where: 'drawing',
    expected: 'dark ink on a light ground',
    got: 'a picture without any',
  });
}

export function batchOfOne({ dtype, shape, data }: NdArray): NdArray {
  return { dtype, shape: [1, ...shape], data } as NdArray;
}

/** An example of the data that was not trained on, counted round. */
export async function heldExample({ parts }: Subject, number: number): Promise<Example<NdArray, NdArray>> {
  if (!parts) throw new TenonError({ code: 'USAGE', message: "The model's data is not here." });
  const length = parts.held.length ?? 1;
  const [example] = await parts.held
    .skip(((number % length) + length) % length)
    .take(1)
    .toArray();
  return example;
}
