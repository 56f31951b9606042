import { classProbabilities, type Loss, type NdArray, TenonError, treeEntries } from '@tenon-ml/core';
import { codePoints, generateText, isCharacters } from '@tenon-ml/data';
import { histogram, nearest } from '@tenon-ml/explain';
import { heatPicture, pictureOf, planePicture, signedPicture } from './pictures.js';
import type { Picture } from './protocol.js';
import type {
  Answer,
  AttentionMaps,
  GradientSpread,
  LayerPictures,
  Neighbour,
  SubjectInput,
  TextRequest,
  WrongExample,
} from './protocol_subject.js';
import { batchOfOne, imageShape, isDigits, rangeOf, rawInput, type Subject } from './subject.js';

/** At most so many pictures of a layer, and so many examples that are looked through. */
const PICTURES = 16;
const HELD = 512;
const TRAINED = 2000;
const BINS = 31;

/** The kernels of the first convolution: in colour where they are of colours, otherwise one picture a channel. */
export function filtersOf({ artifact }: Subject): LayerPictures[] {
  const found = treeEntries<NdArray>(artifact.params).find(
    ([path, { shape }]) => path.endsWith('kernel') && shape.length === 4 && shape[0] * shape[1] > 1,
  );
  if (!found) return [];
  const [path, { shape, data }] = found;
  const [height, width, channels, filters] = shape;
  const kernel = (filter: number, channel: number): Float32Array =>
    Float32Array.from({ length: height * width }, (_, i) =>
      Number(data[(i * channels + channel) * filters + filter]),
    );
  const count = Math.min(filters, 64);
  const pictures = Array.from({ length: count }, (_, f) => {
    if (channels !== 3) return signedPicture(kernel(f, 0), width, height);
    const values = Float32Array.from({ length: height * width * 3 }, (_, i) => Number(data[i * filters + f]));
    const most = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0) || 1;
    return pictureOf({ dtype: 'float32', shape: [height, width, 3], data: values }, [-most, most]);
  });
  return [{ path: path.replace(/\.kernel$/, ''), shape: [...shape], pictures, total: filters }];
}

/** What each layer makes of an input: planes of images, rows of vectors. */
export async function activationsOf(subject: Subject, input: SubjectInput): Promise<LayerPictures[]> {
  const raw = await rawInput(subject, input);
  const shown = await subject.explainer.layers(raw);
  // What layers show besides, and the insides of blocks, would be too much.
  const paths = shown
    .filter(({ path, layer }) => layer !== undefined && !path.includes('.'))
    .map(({ path }) => path);
  const activations = await subject.explainer.activations(raw, paths);
  const image = imageShape(subject.artifact);
  const given: LayerPictures[] = image
    ? [{ path: 'input', shape: [...image], pictures: [seenPicture(subject, raw)], total: 1 }]
    : [];
  return [...given, ...paths.map((path) => layerPictures(path, activations[path]))];
}

function layerPictures(path: string, { shape, data }: NdArray): LayerPictures {
  const inner = shape.slice(1);
  if (inner.length === 3) {
    const [height, width, channels] = inner;
    const plane = (c: number): Float32Array =>
      Float32Array.from({ length: height * width }, (_, i) => Number(data[i * channels + c]));
    const pictures = Array.from({ length: Math.min(channels, PICTURES) }, (_, c) =>
      planePicture(plane(c), width, height),
    );
    return { path, shape: inner, pictures, total: channels };
  }
  if (inner.length === 2) {
    const [height, width] = inner;
    return { path, shape: inner, pictures: [signedPicture(data as Float32Array, width, height)], total: 1 };
  }
  const width = Math.min(inner[0] ?? 1, 64);
  const height = Math.ceil((inner[0] ?? 1) / width);
  const values = new Float32Array(width * height);
  values.set(Float32Array.from(data as Float32Array));
  return { path, shape: inner, pictures: [signedPicture(values, width, height)], total: 1 };
}

/** The spread of the gradients of a batch of training examples, for every array of parameters. */
export async function gradientsOf(
  subject: Subject,
  loss: Loss,
  batchSize: number,
): Promise<GradientSpread[]> {
  if (!subject.parts) return [];
  const [batch] = await subject.parts.train.batch(batchSize).take(1).toArray();
  const gradients = await subject.explainer.gradients(batch, loss);
  return Object.entries(gradients).map(([path, { data }]) => {
    const values = Float64Array.from(data as Float32Array);
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    const rms = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    return { path, low, high, counts: [...histogram(values, BINS).counts], rms };
  });
}

/** The held examples with the largest losses, among the first 512. */
export async function worstOf(subject: Subject, loss: Loss, count: number): Promise<WrongExample[]> {
  const { parts, explainer, artifact } = subject;
  if (!parts || artifact.outputActivation === null) return [];
  const names = artifact.classNames ?? [];
  const found: WrongExample[] = [];
  for await (const batch of parts.held.take(HELD).batch(64)) {
    const losses = await explainer.losses(batch, loss);
    const logits = await explainer.predict(batch.input);
    const classes = logits.shape.at(-1) ?? 1;
    if (logits.shape.length !== 2) return [];
    for (let i = 0; i < losses.data.length; i++) {
      const row = Array.from(logits.data.subarray(i * classes, (i + 1) * classes) as Float32Array);
      const scores = classProbabilities(row, artifact.outputActivation);
      const predicted = scores.indexOf(Math.max(...scores));
      const label = Number(batch.target.data[i]);
      found.push({
        label: names[label] ?? String(label),
        predicted: names[predicted] ?? String(predicted),
        loss: Number(losses.data[i]),
        probability: scores[label],
        picture: imageShape(artifact) ? seenPicture(subject, rowOf(batch.input, i)) : null,
      });
    }
    found.sort((a, b) => b.loss - a.loss).splice(count);
  }
  return found;
}

/** What the model says of an input. */
export async function answerOf(subject: Subject, input: SubjectInput): Promise<Answer> {
  const raw = await rawInput(subject, input);
  const { artifact, explainer } = subject;
  const output = await explainer.predict(raw);
  const seen = imageShape(artifact) ? seenPicture(subject, raw) : null;
  const values = Array.from(output.data as Float32Array);
  if (artifact.outputActivation === null) return { seen, scores: [], outputs: values, predicted: 0 };
  const probabilities = classProbabilities(values, artifact.outputActivation);
  const names = artifact.classNames ?? [];
  return {
    seen,
    scores: probabilities.map((probability, i) => ({ label: names[i] ?? String(i), probability })),
    outputs: [],
    predicted: probabilities.indexOf(Math.max(...probabilities)),
  };
}

/** Where a class comes from: saliency (the gradient's largest magnitude over the channels) or Grad-CAM, as heat. */
export async function heatOf(
  subject: Subject,
  input: SubjectInput,
  {
    method,
    target,
    path,
  }: { readonly method: 'saliency' | 'gradCam'; readonly target: number; readonly path?: string },
): Promise<Picture> {
  const raw = await rawInput(subject, input);
  if (method === 'gradCam') {
    const { shape, data } = await subject.explainer.gradCam(raw, { target, ...(path && { path }) });
    return heatPicture(data as Float32Array, shape[2], shape[1]);
  }
  const { shape, data } = await subject.explainer.saliency(raw, { target });
  const [, height, width, channels] = shape;
  const strongest = Float32Array.from({ length: height * width }, (_, i) => {
    let most = 0;
    for (let c = 0; c < channels; c++) most = Math.max(most, Math.abs(Number(data[i * channels + c])));
    return most;
  });
  return heatPicture(strongest, width, height);
}

/** Features of training examples by the weights of one step. */
export interface Features {
  readonly step: number | null;
  readonly features: NdArray;
  readonly examples: readonly { readonly input: NdArray; readonly target: NdArray }[];
}

/** The features of training examples, 2,000 at most. */
export async function featuresOf(subject: Subject): Promise<Features | null> {
  if (!subject.parts) return null;
  const examples = await subject.parts.train.take(TRAINED).toArray();
  const parts: NdArray[] = [];
  for await (const batch of subject.parts.train.take(TRAINED).batch(100)) {
    parts.push(await subject.explainer.features(batch.input));
  }
  const width = parts[0].shape[1];
  const data = new Float32Array(examples.length * width);
  let at = 0;
  for (const part of parts) {
    data.set(part.data as Float32Array, at);
    at += part.data.length;
  }
  return {
    step: subject.step,
    examples,
    features: { dtype: 'float32', shape: [examples.length, width], data },
  };
}

/** The training examples that the network finds most like an input. */
export async function neighboursOf(
  subject: Subject,
  known: Features,
  input: SubjectInput,
  count: number,
): Promise<Neighbour[]> {
  const query = await subject.explainer.features(await rawInput(subject, input));
  const names = subject.artifact.classNames ?? [];
  const isImage = imageShape(subject.artifact) !== null;
  const [found] = nearest(known.features, query, count);
  return found.indices.map((index, i) => {
    const similarity = found.similarities[i];
    const { input: example, target } = known.examples[index];
    const label = Number(target.data[0]);
    return {
      // Of a regression the number, as far as float32 holds it.
      label:
        subject.artifact.outputActivation === null
          ? String(Number(label.toPrecision(6)))
          : (names[label] ?? String(label)),
      similarity,
      picture: isImage ? seenPicture(subject, batchOfOne(example)) : null,
      features: isImage ? [] : Array.from(example.data as Float32Array),
    };
  });
}

/** The text that follows a prompt, character by character, each by the weights of its time: a run may end meanwhile. */
export async function* textOf(
  subject: () => Subject,
  { prompt, length, temperature, topK, seed }: TextRequest,
): AsyncGenerator<string> {
  const { artifact } = subject();
  const vocabulary = vocabularyOf(subject());
  const model = { artifact, predict: (input: NdArray) => subject().explainer.predict(input) };
  yield* generateText(model, vocabulary, {
    prompt,
    length,
    temperature,
    seed,
    ...(topK > 0 && { topK }),
  });
}

/** What each place of a text looks at, in every head. The text is cut to the model's context, from its end. */
export async function attentionOf(subject: Subject, text: string): Promise<AttentionMaps> {
  const vocabulary = vocabularyOf(subject);
  const context = Number((subject.artifact.input as { shape: readonly number[] }).shape[1]);
  const points = [...codePoints(text).data].slice(-context);
  const [first] = codePoints(vocabulary.names[0]).data;
  // What stands behind the text is seen by nobody: the model is causal.
  const data = Int32Array.from({ length: context }, (_, i) => points[i] ?? first);
  const maps = await subject.explainer.attention({ dtype: 'int32', shape: [1, context], data });
  const time = points.length;
  return {
    characters: points.map((point) => String.fromCodePoint(point)),
    layers: Object.entries(maps).map(([path, { shape, data: weights }]) => {
      const [, heads, whole] = shape;
      const cut = new Float32Array(heads * time * time);
      for (let h = 0; h < heads; h++) {
        for (let y = 0; y < time; y++) {
          const from = (h * whole + y) * whole;
          cut.set((weights as Float32Array).subarray(from, from + time), (h * time + y) * time);
        }
      }
      return { path, heads, weights: cut };
    }),
  };
}

function vocabularyOf({ artifact }: Subject) {
  const [vocabulary] = artifact.preprocessing;
  if (vocabulary && isCharacters(vocabulary)) return vocabulary;
  throw new TenonError({ code: 'USAGE', message: 'This model writes no text.' });
}

function seenPicture(subject: Subject, batch: NdArray): Picture {
  const { dtype, shape, data } = batch;
  return pictureOf({ dtype, shape: shape.slice(1), data } as NdArray, rangeOf(subject), {
    ink: isDigits(subject),
  });
}

function rowOf({ dtype, shape, data }: NdArray, index: number): NdArray {
  const size = data.length / shape[0];
  return {
    dtype,
    shape: [1, ...shape.slice(1)],
    data: data.subarray(index * size, (index + 1) * size),
  } as NdArray;
}
