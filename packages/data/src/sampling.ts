import {
  createKey,
  isTenonError,
  type Key,
  type NdArray,
  TenonError,
  type TensorSpec,
  type Transform,
  type Tree,
} from '@tenon-ml/core';
import { type Characters, codePoints, isCharacters } from './text.js';

/** How the next character is chosen from what a model thinks of it. */
export interface SamplingOptions {
  /** The logits are divided by it: below 1 the likely becomes likelier; 0 takes the likeliest each time; 1 by default. */
  readonly temperature?: number;
  /** Only the so many likeliest are drawn from; all by default. */
  readonly topK?: number;
}

export interface GenerateTextOptions extends SamplingOptions {
  /** What the text begins with; by default a new line, where the vocabulary has one. */
  readonly prompt?: string;
  /** How many characters are to follow. */
  readonly length: number;
  /** 0 by default. */
  readonly seed?: number;
  /** Ends it: before the next character its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** What is asked of a model that writes text; core's `Model` is one, and so is a trainer with its artifact. */
export interface TextModel {
  readonly artifact: {
    readonly preprocessing: readonly Transform[];
    readonly input: Tree<TensorSpec>;
    readonly output: Tree<TensorSpec>;
  };
  predict(input: NdArray): Promise<Tree<NdArray>>;
}

/**
 * The vocabulary of a model that writes text: one whose only preprocessing is `characters`, that takes windows [batch,
 * context] of them and gives logits over the next one at each place. Undefined for any other.
 */
export function vocabularyOf({ artifact }: Pick<TextModel, 'artifact'>): Characters | undefined {
  const { preprocessing, input, output } = artifact;
  const [vocabulary, ...more] = preprocessing;
  if (!vocabulary || more.length > 0 || !isCharacters(vocabulary)) return undefined;
  const context = contextOf(input);
  const shape = shapeOf(output);
  const fits = context !== undefined && shape?.length === 3 && shape[2] === vocabulary.names.length;
  return fits ? vocabulary : undefined;
}

/**
 * Text that a model writes: what follows the prompt, character by character, each as soon as it is there. Each is drawn from
 * the softmax of its logits by a key of its own, so the same seed writes the same text.
 *
 * ```ts
 * const vocabulary = vocabularyOf(model);
 * if (vocabulary)
 *   for await (const character of generateText(model, vocabulary, { prompt: 'ROMEO:', length: 200 })) show(character);
 * ```
 *
 * A model sees as many characters as its input has; a prompt that is shorter stands at the beginning of the window, with
 * anything behind it, since a causal model at a place sees no later ones.
 *
 * Throws at once `INVALID_ARGUMENT` for options out of range and for a model whose input is no window of a known size, and
 * `DATA_INVALID` for a prompt with other characters than the vocabulary's; on the way `NOT_FINITE`, and the signal's
 * reason.
 */
export function generateText(
  model: Pick<TextModel, 'predict'> & { readonly artifact: Pick<TextModel['artifact'], 'input'> },
  vocabulary: Characters,
  options: GenerateTextOptions,
): AsyncGenerator<string, void, undefined> {
  const { prompt = '', length, seed = 0, signal, ...sampling } = options;
  checkSampling(sampling);
  if (!(Number.isInteger(length) && length >= 0) && length !== Number.POSITIVE_INFINITY) {
    throw wrong('length', 'an integer of at least 0, or Infinity', length);
  }
  const context = contextOf(model.artifact.input);
  if (context === undefined) {
    throw wrong(
      'generateText',
      'a model that takes windows [batch, context]',
      JSON.stringify(shapeOf(model.artifact.input) ?? 'a tree'),
    );
  }
  const seen = [...codePoints(checkPrompt(prompt || opening(vocabulary), vocabulary)).data];
  return write();

  async function* write(): AsyncGenerator<string, void, undefined> {
    const [first] = codePoints(vocabulary.names[0]).data;
    const key = createKey(seed).foldIn('text');
    const classes = vocabulary.names.length;
    const size = context as number;
    for (let i = 0; i < length; i++) {
      signal?.throwIfAborted();
      // Nothing before the window is looked at again.
      seen.splice(0, seen.length - size);
      const data = Int32Array.from({ length: size }, (_, at) => seen[at] ?? first);
      const logits = (await model.predict({ dtype: 'int32', shape: [1, size], data })) as NdArray<'float32'>;
      const last = (seen.length - 1) * classes;
      const index = drawIndex(logits.data.subarray(last, last + classes), sampling, key.foldIn(i));
      seen.push(...codePoints(vocabulary.names[index]).data);
      yield vocabulary.names[index];
    }
  }
}

/**
 * An index drawn from softmax(logits / temperature), of the `topK` largest logits alone. Computed in float64. Of equal
 * logits the lower indices count as the larger. Throws `NOT_FINITE`.
 */
export function drawIndex(logits: ArrayLike<number>, options: SamplingOptions, key: Key): number {
  const { temperature = 1, topK = logits.length } = options;
  const values = Array.from(logits);
  if (!values.every(Number.isFinite)) {
    throw new TenonError({
      code: 'NOT_FINITE',
      where: 'sampling',
      message: "the model's output is not finite",
      hint: 'Train it again with a lower learning rate.',
    });
  }
  const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
  if (temperature === 0) return order[0];
  const kept = order.slice(0, topK);
  const largest = values[kept[0]];
  const weights = kept.map((i) => Math.exp((values[i] - largest) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  let rest = Number(key.uniform([]).data[0]) * total;
  for (const [i, weight] of weights.entries()) {
    rest -= weight;
    if (rest < 0) return kept[i];
  }
  // Rounding alone gets here.
  return kept[kept.length - 1];
}

/** What a text begins with that nobody has begun: a new line, where there are lines. */
function opening({ names }: Characters): string {
  return names.includes('\n') ? '\n' : names[0];
}

function checkPrompt(prompt: string, vocabulary: Characters): string {
  try {
    vocabulary.encode(prompt);
    return prompt;
  } catch (error) {
    throw isTenonError(error) ? error.within('prompt') : error;
  }
}

function checkSampling({ temperature = 1, topK }: SamplingOptions): void {
  if (!(temperature >= 0 && Number.isFinite(temperature))) {
    throw wrong('temperature', 'a number of at least 0', temperature);
  }
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1)) {
    throw wrong('top-k', 'an integer of at least 1', topK);
  }
}

function contextOf(input: Tree<TensorSpec>): number | undefined {
  const shape = shapeOf(input);
  return shape?.length === 2 && shape[1] !== null ? shape[1] : undefined;
}

function shapeOf(spec: Tree<TensorSpec>): readonly (number | null)[] | undefined {
  return 'shape' in spec && Array.isArray(spec.shape) ? spec.shape : undefined;
}

function wrong(where: string, expected: string, got: number | string): TenonError {
  return new TenonError({ code: 'INVALID_ARGUMENT', where, expected, got: String(got) });
}
