import {
  type AnyLayer,
  type ArtifactStore,
  blankKey,
  buildLayer,
  formatShape,
  type Json,
  type Key,
  type NdArray,
  type Optimizer,
  rows,
  sameShape,
  TenonError,
  type TensorSpec,
  type Transform,
} from '@tenon-ml/core';
import {
  type Augmentation,
  augment,
  type Dataset,
  type Example,
  fitTransform,
  normalize,
  randomCrop,
  randomFlip,
  rescale,
  textWindows,
} from '@tenon-ml/data';
import { layers } from '@tenon-ml/layers/all';
import { meanSquaredError, softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy, confusionMatrix, mean } from '@tenon-ml/metrics';
import { adam, adamw, chain, clipByGlobalNorm, cosineDecay, sgd } from '@tenon-ml/optimizers';
import type { AnyPlan, Batch, Experiment } from '@tenon-ml/train';
import { abs, sub } from '@tensorflow/tfjs-core';
import type { AugmentationSpec, ExperimentDocument, TrainingSpec } from './document.js';
import { type DocumentData, loadDocumentData } from './load_data.js';
import { readDocument } from './read_document.js';

type Examples = Dataset<Example<NdArray, NdArray>>;

/** The parts of the data; those that would be empty are left out. */
export interface DataParts {
  readonly train: Examples;
  readonly validation?: Examples;
  readonly test?: Examples;
}

/** What can be set from outside: `tenon train FILE.json --set learningRate=0.01`. */
export type DocumentOptions = {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
};

/** What `run.json` keeps of a document's run, to find the experiment again. */
export function documentOrigin(document: ExperimentDocument): Json {
  return { document: document as unknown as Json };
}

/** The document of a run's origin; undefined for a run of something else. Throws as `readDocument` does. */
export function originDocument(origin: Json, where = 'run.json, origin'): ExperimentDocument | undefined {
  const held = typeof origin === 'object' && origin !== null && 'document' in origin;
  return held ? readDocument(origin.document, `${where}.document`) : undefined;
}

/**
 * A document as an experiment, for `runExperiment` and `tenon train`. `files` is its data folder. The caller gives the
 * document's `seed` to the run: one document, one seed, one run.
 *
 * What is drawn comes from the run's key: the split from `foldIn('split')`, of every class its share; the order from
 * `foldIn('order')` (windows of a text: 'windows'), augmentation, of the training part alone, from `foldIn('augment')`.
 * Preprocessing is fitted to the training part. Where the source brings a test part along, that is the test, and
 * `split.test` is shared out among the others.
 *
 * | task | loss | metrics | the epoch is chosen by |
 * |---|---|---|---|
 * | classification | softmaxCrossEntropy | accuracy, confusionMatrix | validation.loss; of CIFAR-10 validation.accuracy |
 * | regression | meanSquaredError | absoluteError | validation.loss |
 * | text | softmaxCrossEntropy | accuracy | validation.loss |
 *
 * (train.loss without a validation part.) The cosine falls to 0 without a warm-up for 'adam', after 5 % of the steps for
 * 'sgd'; for 'adamw' to a tenth after 10 % of them, 100 at most. AdamW decays matrices and kernels alone; on text its
 * beta2 is 0.99. So the presets are the recipes of the command line.
 */
export function documentExperiment(
  document: ExperimentDocument,
  files?: ArtifactStore,
): Experiment<DocumentOptions> {
  const { epochs, batchSize, learningRate } = document.training;
  return Object.freeze<Experiment<DocumentOptions>>({
    name: document.name,
    description: describe(document),
    options: { epochs, batchSize, learningRate },
    async setup(options, { key }) {
      const set = { ...document, training: { ...document.training, ...options } };
      const model = buildLayer(document.network, layers);
      const data = await loadDocumentData(document.data, files);
      checkOutputs(model, data);
      return planOf(set, model, data, key);
    },
  });
}

/** Throws `SHAPE_MISMATCH` for a network that gives other than the data asks for, and what its layers throw for the input. */
function checkOutputs(model: AnyLayer, { input, outputs, task }: DocumentData): void {
  const { shape } = model.init(blankKey, input).output as TensorSpec;
  const wanted = task === 'text' ? [null, input.shape[1], outputs] : [null, outputs];
  if (sameShape(shape, wanted)) return;
  const what = { classification: 'classes', regression: 'numbers', text: 'characters' }[task];
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where: 'network',
    expected: `an output ${formatShape(wanted)}, for the ${outputs} ${what} of the data`,
    got: formatShape(shape),
    hint: `Let it end with dense(${outputs}); fitNetwork does that.`,
  });
}

/** The parts that an experiment trains on, chooses by and tests on; as in the plan, before preprocessing and batches. */
export async function splitDocumentData(
  document: ExperimentDocument,
  data: DocumentData,
  key: Key,
): Promise<DataParts> {
  if (data.task === 'text') return splitText(document, data, key);
  const { examples, test: own } = data;
  const parts = await examples.split(sharesOf(document, own !== undefined), {
    key: key.foldIn('split'),
    ...(data.task === 'classification' && { stratify: ({ target }: { target: NdArray }) => target }),
  });
  const present = ({ validation, test }: typeof parts) => ({
    ...(validation && validation.length !== 0 && { validation }),
    ...(own ? { test: own } : test && test.length !== 0 && { test }),
  });
  if (parts.train.length === 0) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: 'split',
      expected: 'at least one example to train on',
      got: `none of ${examples.length}`,
      hint: 'Add examples, or give the training part a larger share.',
    });
  }
  return { train: parts.train, ...present(parts) };
}

/** The shares as `split` takes them: exactly 1 in all, without those that are 0 (nor the test's, where that is there). */
export function sharesOf(
  { split }: ExperimentDocument,
  hasTest: boolean,
): { readonly [part: string]: number } {
  const wanted = Object.entries(split).filter(([part, share]) => share > 0 && !(hasTest && part === 'test'));
  const sum = wanted.reduce((total, [, share]) => total + share, 0);
  const exact = Math.abs(sum - 1) < 1e-9;
  return Object.fromEntries(wanted.map(([part, share]) => [part, exact ? share : share / sum]));
}

/** The parts follow each other; random windows to train on, evenly spaced ones of the others: 256 at most. */
function splitText(
  { data: spec, split, training }: ExperimentDocument,
  data: DocumentData,
  key: Key,
): DataParts {
  const { vocabulary, points } = data;
  if (spec.source !== 'text' || !vocabulary || !points) throw new Error('The data is no text.');
  const { context, stepsPerEpoch } = spec;
  const [length] = points.shape;
  const first = Math.floor(split.train * length);
  const second = split.test > 0 ? Math.floor((split.train + split.validation) * length) : length;
  const shortest = Math.min(
    first,
    ...(split.validation > 0 ? [second - first] : []),
    ...(split.test > 0 ? [length - second] : []),
  );
  if (shortest <= context) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: spec.file,
      expected: `a text whose parts are each longer than the context of ${context} characters`,
      got: `${length} characters, the shortest part ${shortest}`,
      hint: 'Give a longer text, a smaller context, or larger shares.',
    });
  }
  const held = (begin: number, end: number): Examples => {
    const stride = Math.max(context, Math.floor((end - begin) / 256));
    return textWindows(rows(points, begin, end), { vocabulary, context, stride }).take(256);
  };
  return {
    train: textWindows(rows(points, 0, first), { vocabulary, context })
      .shuffle({ key: key.foldIn('windows') })
      .take(stepsPerEpoch * training.batchSize),
    ...(split.validation > 0 && { validation: held(first, second) }),
    ...(split.test > 0 && { test: held(second, length) }),
  };
}

async function planOf(
  document: ExperimentDocument,
  model: AnyLayer,
  data: DocumentData,
  key: Key,
): Promise<AnyPlan> {
  const { training } = document;
  const { train, validation, test } = await splitDocumentData(document, data, key);
  const batches = trainingBatches(document, data, train, key);
  const stepsPerEpoch = Number(batches.length);
  const size = data.task === 'text' ? 64 : document.data.source === 'cifar10' ? 250 : 256;
  const classes = data.outputs;
  return {
    model,
    loss: data.task === 'regression' ? meanSquaredError() : softmaxCrossEntropy(),
    optimizer: optimizerOf(document, Math.max(1, training.epochs * stepsPerEpoch)),
    metrics:
      data.task === 'regression'
        ? [mean('absoluteError', (p, t) => abs(sub(p, t)), { direction: 'minimize' })]
        : data.task === 'classification' && classes > 1
          ? [accuracy(), confusionMatrix({ classes })]
          : [accuracy()],
    epochs: training.epochs,
    ...(data.task === 'text' && { input: data.input }),
    train: batches as Dataset<Batch>,
    ...(validation && { validation: validation.batch(size) as Dataset<Batch> }),
    ...(test && { test: test.batch(size) as Dataset<Batch> }),
    preprocessing: await preprocessingOf(document, data, train),
    ...(data.classNames.length > 0 && { classNames: data.classNames }),
    monitor: validation
      ? document.data.source === 'cifar10'
        ? 'validation.accuracy'
        : 'validation.loss'
      : 'train.loss',
    restoreBest: true,
    checkpointEverySteps: checkpointInterval(stepsPerEpoch),
    card: cardOf(document, data),
  };
}

/** The batches of the training part, in their order and augmented. */
function trainingBatches(
  { training, augmentation, network }: ExperimentDocument,
  data: DocumentData,
  train: Examples,
  key: Key,
): Examples {
  const { batchSize } = training;
  // The windows of a text are in random order already.
  if (data.task === 'text') return train.batch(batchSize);
  // Batch normalization has nothing to learn from a batch of one, and refuses it.
  const dropRemainder =
    Number(train.length) > batchSize &&
    Number(train.length) % batchSize === 1 &&
    JSON.stringify(network).includes('"batchNorm"');
  const batches = train.shuffle({ key: key.foldIn('order') }).batch(batchSize, { dropRemainder });
  const changes = data.kind === 'images' ? augmentationsOf(augmentation) : [];
  return changes.length === 0 ? batches : batches.map(augment(...changes), { key: key.foldIn('augment') });
}

/** What changes images at random, in this order: shifts, then mirrors. For `augment`, and to show what it does. */
export function augmentationsOf({ shift, flip }: AugmentationSpec): Augmentation[] {
  return [...(shift > 0 ? [randomCrop({ padding: shift })] : []), ...(flip ? [randomFlip()] : [])];
}

async function preprocessingOf(
  { preprocessing }: ExperimentDocument,
  data: DocumentData,
  train: Examples,
): Promise<Transform[]> {
  if (data.vocabulary) return [data.vocabulary];
  if (preprocessing === 'normalize') return [await fitTransform(normalize(), train)];
  if (preprocessing === 'none') return [];
  const [least, greatest] = data.range;
  return [rescale({ scale: 1 / (Math.max(Math.abs(least), Math.abs(greatest)) || 1) })];
}

function optimizerOf({ training, data }: ExperimentDocument, steps: number): Optimizer {
  const { clipNorm } = training;
  const one = unclipped(training, data.source === 'text', steps);
  return clipNorm > 0 ? chain(clipByGlobalNorm(clipNorm), one) : one;
}

function unclipped(training: TrainingSpec, isText: boolean, steps: number): Optimizer {
  const { optimizer, learningRate: peak, schedule, momentum, weightDecay } = training;
  const rate = (warmup: number, end: number) =>
    schedule === 'cosine' ? cosineDecay({ peak, steps, warmup, end }) : peak;
  switch (optimizer) {
    case 'adam':
      return adam({ learningRate: rate(0, 0) });
    case 'adamw':
      return adamw({
        learningRate: rate(Math.min(100, Math.floor(steps / 10)), peak / 10),
        ...(isText && { beta2: 0.99 }),
        weightDecay,
        mask: (_path, shape) => shape.length > 1,
      });
    default:
      return sgd({ learningRate: rate(Math.floor(steps / 20), 0), momentum, weightDecay });
  }
}

/**
 * After how many steps a checkpoint is written, besides those after each epoch: 50, or a tenth of an epoch where that is
 * more, so that large data isn't spent on writing.
 */
export function checkpointInterval(stepsPerEpoch: number): number {
  return Math.max(50, Math.ceil(stepsPerEpoch / 10));
}

function describe({ data }: ExperimentDocument): string {
  const what = 'file' in data ? `${data.source}, ${data.file}` : data.source;
  return `An experiment of a document, on ${what}`;
}

function cardOf(document: ExperimentDocument, data: DocumentData): NonNullable<AnyPlan['card']> {
  const { info, featureNames } = data;
  const source = document.data;
  const file = 'file' in source ? source.file : source.source;
  const descriptions: { readonly [S in typeof source.source]: string } = {
    digits: 'Classifies 8×8 images of handwritten digits (values 0 to 16).',
    cifar10: 'Classifies 32×32 colour photographs (values 0 to 255) of ten kinds of things.',
    csv:
      'target' in source
        ? `Predicts ${source.target} from ${featureNames?.join(', ')}.`
        : 'Predicts a column from others.',
    arrays: `Tells apart ${data.classNames.join(', ')}.`,
    text: `Says which character comes next, after up to ${data.input.shape[1]} of them.`,
  };
  const unlicensed = info?.licence === 'NOASSERTION';
  return {
    description: descriptions[source.source],
    data: info?.citation ?? file,
    ...(info && {
      licence: unlicensed ? `${info.licence}: the authors of the data state none` : info.licence,
    }),
  };
}
