import { createKey, isTenonError, type Key, type Model, type NdArray, TenonError } from '@tenon-ml/core';
import { type Characters, codePoints, isCharacters } from '@tenon-ml/data';

/** How the next character is chosen from what a model thinks of it. */
export interface SamplingOptions {
  /** The logits are divided by it: below 1 the likely becomes likelier; 0 takes the likeliest each time. */
  readonly temperature: number;
  /** Only the so many likeliest are drawn from; all by default. */
  readonly topK?: number;
}

export interface TextOptions extends SamplingOptions {
  /** What the text begins with. */
  readonly prompt: string;
  /** How many characters are to follow. */
  readonly length: number;
  readonly seed: number;
}

/**
 * The vocabulary of a model that writes text: one whose only preprocessing is `characters`, that takes windows [batch,
 * context] of them and gives logits over the next one at each place. Undefined for any other.
 */
export function vocabularyOf({ artifact }: Pick<Model, 'artifact'>): Characters | undefined {
  const { preprocessing, input, output } = artifact;
  const [vocabulary, ...more] = preprocessing;
  if (!vocabulary || more.length > 0 || !isCharacters(vocabulary)) return undefined;
  const context = contextOf(input);
  const shape = shapeOf(output);
  const fits = context !== undefined && shape?.length === 3 && shape[2] === vocabulary.names.length;
  return fits ? vocabulary : undefined;
}

/**
 * Text that a model writes: what follows the prompt, character by character. Each is drawn from the softmax of its logits
 * by a key of its own, so the same seed writes the same text.
 *
 * A model sees as many characters as its input has; a prompt that is shorter stands at the beginning of the window, with
 * anything behind it, since a causal model at a place sees no later ones.
 *
 * Throws `INVALID_ARGUMENT` for options out of range, `DATA_INVALID` for a prompt with other characters than the
 * vocabulary's, and `NOT_FINITE`.
 */
export async function sampleText(
  model: Model,
  vocabulary: Characters,
  { prompt, length, seed, ...sampling }: TextOptions,
): Promise<string> {
  checkSampling(sampling);
  const context = contextOf(model.artifact.input) as number;
  const [first] = codePoints(vocabulary.names[0]).data;
  const seen = [...codePoints(checkPrompt(prompt || opening(vocabulary), vocabulary)).data];
  const key = createKey(seed).foldIn('text');
  let text = '';
  for (let i = 0; i < length; i++) {
    const window = seen.slice(-context);
    const data = Int32Array.from({ length: context }, (_, at) => window[at] ?? first);
    const logits = (await model.predict({ dtype: 'int32', shape: [1, context], data })) as NdArray<'float32'>;
    const classes = vocabulary.names.length;
    const last = (window.length - 1) * classes;
    const index = drawIndex(logits.data.subarray(last, last + classes), sampling, key.foldIn(i));
    text += vocabulary.names[index];
    seen.push(...codePoints(vocabulary.names[index]).data);
  }
  return text;
}

/**
 * An index drawn from softmax(logits / temperature), of the `topK` largest logits alone. Computed in float64. Of equal
 * logits the lower indices count as the larger. Throws `NOT_FINITE`.
 */
export function drawIndex(logits: ArrayLike<number>, options: SamplingOptions, key: Key): number {
  const { temperature, topK = logits.length } = options;
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

function checkSampling({ temperature, topK }: SamplingOptions): void {
  const wrong = (where: string, expected: string, got: number): TenonError =>
    new TenonError({ code: 'INVALID_ARGUMENT', where, expected, got: String(got) });
  if (!(temperature >= 0 && Number.isFinite(temperature))) {
    throw wrong('temperature', 'a number of at least 0', temperature);
  }
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1)) {
    throw wrong('top-k', 'an integer of at least 1', topK);
  }
}

function contextOf(input: Model['artifact']['input']): number | undefined {
  const shape = shapeOf(input);
  return shape?.length === 2 && shape[1] !== null ? shape[1] : undefined;
}

function shapeOf(spec: Model['artifact']['input']): readonly (number | null)[] | undefined {
  return 'shape' in spec && Array.isArray(spec.shape) ? spec.shape : undefined;
}
