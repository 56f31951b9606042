import { defineTransform, type NdArray, rows, sizeOf, TenonError, type Transform } from '@tenon-ml/core';
import type { Dataset, Example } from './dataset.js';
import { createDataset } from './pipeline.js';
import { checkCount, indexedSource } from './source.js';

/**
 * The characters that a model knows, in the order of their code points: character i is `names[i]`.
 *
 * As a transform it turns text as code points into indices, int32 of the same shape: what an embedding takes. In a model's
 * `preprocessing` it travels with the model, so that raw text is all that a prediction needs. A character that it
 * doesn't have is `DATA_INVALID`.
 */
export interface Characters extends Transform {
  readonly names: readonly string[];
  /** The indices of a text, int32 [characters]. Throws `DATA_INVALID` for a character that isn't there. */
  encode(text: string): NdArray<'int32'>;
  /** The text of indices, read in row-major order. Throws `INVALID_ARGUMENT` for one out of range. */
  decode(indices: NdArray): string;
}

/**
 * The vocabulary of a text: each of its characters once.
 *
 * ```ts
 * const vocabulary = characters(text);
 * vocabulary.encode('to be');                                       // int32 [5]
 * const batches = windows.batch(12).map(transformInput(vocabulary)); // or preprocessing: [vocabulary] in a plan
 * ```
 *
 * Take it from the whole text, before it is split: a character that is only in the validation part would stop that. A
 * character is a Unicode code point; nothing is normalised. Throws `INVALID_ARGUMENT` for an empty text.
 */
export function characters(text: string): Characters {
  const points = [...new Set(codePoints(text).data)].sort((a, b) => a - b);
  if (points.length === 0) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'characters',
      expected: 'a text',
      got: 'an empty one',
    });
  }
  const names = points.map((point) => String.fromCodePoint(point));
  const indexOf = new Map(points.map((point, index) => [point, index]));
  const apply = ({ data, shape }: NdArray): NdArray<'int32'> => {
    const indices = new Int32Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const index = indexOf.get(Number(data[i]));
      if (index === undefined) throw unknownCharacter(Number(data[i]), i, names.length);
      indices[i] = index;
    }
    return { dtype: 'int32', shape: [...shape], data: indices };
  };
  return Object.freeze({
    spec: { transform: 'characters', version: 1, characters: names.join('') },
    names: Object.freeze(names),
    apply,
    encode: (plain: string) => apply(codePoints(plain)),
    decode: ({ data }: NdArray) =>
      Array.from(data as Int32Array, (index) => {
        const name = names[index];
        if (name !== undefined) return name;
        throw new TenonError({
          code: 'INVALID_ARGUMENT',
          where: 'characters, decode',
          expected: `indices from 0 to ${names.length - 1}`,
          got: String(index),
        });
      }).join(''),
  });
}

/** Whether a transform is a vocabulary of characters. */
export function isCharacters(transform: Transform): transform is Characters {
  return transform.spec.transform === 'characters' && 'decode' in transform;
}

/** How `characters` is rebuilt from the spec of a saved model. */
export const charactersDefinition = defineTransform({
  name: 'characters',
  version: 1,
  build({ characters: text }): Characters {
    const valid = typeof text === 'string' && text !== '';
    const built = valid ? characters(text) : undefined;
    if (built && built.spec.characters === text) return built;
    throw new TenonError({
      code: 'ARTIFACT_INVALID',
      where: 'characters',
      expected: 'a text of characters in the order of their code points, each once',
      got: (JSON.stringify(text) ?? 'nothing').slice(0, 80),
    });
  },
});

/** The code points of a text, int32 [characters]: text as a raw input. A lone surrogate stays one. */
export function codePoints(text: string): NdArray<'int32'> {
  const data = new Int32Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const point = text.codePointAt(at) as number;
    if (point > 0xffff) at++;
    data[length++] = point;
  }
  return { dtype: 'int32', shape: [length], data: data.subarray(0, length) };
}

export interface TextWindowsOptions {
  /** Says which class each next character is. */
  readonly vocabulary: Characters;
  /** How many characters a model sees at once. */
  readonly context: number;
  /** From the beginning of a window to that of the next: 1 by default, all windows there are; `context` for no overlap. */
  readonly stride?: number;
}

/**
 * The windows of a text, for a model that says at each place which character comes next: `input` has `context`
 * characters as code points, `target` the indices of those one place further; both int32 [context].
 *
 * ```ts
 * const points = codePoints(text);
 * const cut = Math.floor(0.9 * points.shape[0]);
 * const train = textWindows(rows(points, 0, cut), { vocabulary, context: 64 }).shuffle({ key }).take(2400).batch(12);
 * const validation = textWindows(rows(points, cut, points.shape[0]), { vocabulary, context: 64, stride: 64 }).batch(64);
 * ```
 *
 * `shuffle` and `take` make an epoch of random windows: of all places in the text, other ones in every epoch. Split the
 * text, as here, and not its windows: those that overlap have the same characters, so `split` refuses them. Batches are
 * copied from one array; 2 · 4 bytes a character are kept.
 *
 * Throws `DATA_INVALID` for a text shorter than `context` + 1 and for a character that the vocabulary doesn't have.
 */
export function textWindows(
  text: string | NdArray<'int32'>,
  { vocabulary, context, stride = 1 }: TextWindowsOptions,
): Dataset<Example<NdArray<'int32'>, NdArray<'int32'>>> {
  checkCount(context, 1, 'textWindows: context');
  checkCount(stride, 1, 'textWindows: stride');
  const points = typeof text === 'string' ? codePoints(text) : text;
  const size = sizeOf(points.shape);
  if (size < context + 1) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: 'textWindows',
      expected: `a text of at least ${context + 1} characters, the context and the one that comes next`,
      got: String(size),
    });
  }
  const indices = vocabulary.apply(points) as NdArray<'int32'>;
  const length = Math.floor((size - context - 1) / stride) + 1;
  const gatherWindows = ({ data }: NdArray<'int32'>, windows: readonly number[], shift: number) => {
    const gathered = new Int32Array(windows.length * context);
    for (const [i, window] of windows.entries()) {
      const begin = window * stride + shift;
      gathered.set(data.subarray(begin, begin + context), i * context);
    }
    return { dtype: 'int32', shape: [windows.length, context], data: gathered } as const;
  };
  const view = {
    length,
    load: (index: number) => ({
      input: rows(points, index * stride, index * stride + context),
      target: rows(indices, index * stride + 1, index * stride + context + 1),
    }),
    record: (index: number) => `characters ${index * stride} to ${index * stride + context - 1}`,
    gather: (windows: readonly number[]) => ({
      input: gatherWindows(points, windows, 0),
      target: gatherWindows(indices, windows, 1),
    }),
  };
  const overlap = stride < context;
  return createDataset(
    indexedSource({
      description: `text windows(${length} of ${context}, stride ${stride}${overlap ? ', which overlap' : ''})`,
      length,
      stable: !overlap,
      view: () => view,
    }),
  );
}

function unknownCharacter(point: number, index: number, count: number): TenonError {
  const valid = Number.isInteger(point) && point >= 0 && point <= 0x10ffff;
  const code = point.toString(16).toUpperCase().padStart(4, '0');
  return new TenonError({
    code: 'DATA_INVALID',
    where: `characters, index ${index}`,
    expected: `one of the ${count} characters of the vocabulary`,
    got: valid
      ? `${JSON.stringify(String.fromCodePoint(point))} (U+${code})`
      : `${point}, which is no code point`,
  });
}
