import { createKey, type NdArray } from '@tenon-ml/core';
import { describe, expect, test } from 'vitest';
import {
  characters,
  drawIndex,
  type GenerateTextOptions,
  generateText,
  rescale,
  type TextModel,
  vocabularyOf,
} from '../src/index.js';

const key = createKey(5);
const logits = [1, 3, 2, -1];

describe('drawIndex', () => {
  /** How often each index is drawn in 4,000 draws. */
  const shares = (options: Parameters<typeof drawIndex>[1]): number[] => {
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 4000; i++) counts[drawIndex(logits, options, key.foldIn(i))]++;
    return counts.map((count) => count / 4000);
  };

  test.each([1, 0.5, 3])('draws from the softmax at temperature %d', (temperature) => {
    const weights = logits.map((logit) => Math.exp(logit / temperature));
    const total = weights.reduce((a, b) => a + b);
    for (const [i, share] of shares({ temperature }).entries()) {
      const expected = weights[i] / total;
      // Five standard deviations.
      expect(Math.abs(share - expected)).toBeLessThan(
        5 * Math.sqrt((expected * (1 - expected)) / 4000) + 1e-12,
      );
    }
  });

  test('from the likeliest only, and the likeliest at temperature 0', () => {
    const [a, b, c, d] = shares({ temperature: 1, topK: 2 });
    expect([a, d]).toEqual([0, 0]);
    expect(b / c).toBeCloseTo(Math.E, 0);
    expect(shares({ temperature: 0 })).toEqual([0, 1, 0, 0]);
    expect(drawIndex([2, 2, 1], { temperature: 0 }, key)).toBe(0);
    // Far apart, or above all floats when not taken relative to the largest.
    expect(drawIndex([-1e38, 1e38], { temperature: 1e-3 }, key)).toBe(1);
  });

  test('refuses logits that are not finite', () => {
    expect(() => drawIndex([0, Number.NaN], { temperature: 1 }, key)).toThrow(
      expect.objectContaining({ code: 'NOT_FINITE' }),
    );
  });
});

describe('generateText', () => {
  const vocabulary = characters('abcd');
  const seen: string[] = [];
  /** A model of the context 3 that says after each character the next of the alphabet, or that of a temperature. */
  const modelOf = (certainty: number): TextModel => ({
    artifact: {
      preprocessing: [vocabulary],
      input: { shape: [null, 3], dtype: 'int32' },
      output: { shape: [null, 3, 4], dtype: 'float32' },
    },
    async predict({ data }: NdArray) {
      const points = data as Int32Array;
      seen.push(String.fromCodePoint(...points));
      const next = Array.from(
        vocabulary.apply({ dtype: 'int32', shape: [3], data: points }).data as Int32Array,
        (i) => (i + 1) % 4,
      );
      const output = next.flatMap((index) => [0, 1, 2, 3].map((i) => (i === index ? certainty : 0)));
      return { dtype: 'float32', shape: [1, 3, 4], data: Float32Array.from(output) };
    },
  });
  const model = modelOf(50);
  const write = async (options: GenerateTextOptions, by: TextModel = model): Promise<string> => {
    let text = '';
    for await (const character of generateText(by, vocabulary, options)) text += character;
    return text;
  };

  test('goes on from the prompt, through a window that moves', async () => {
    seen.length = 0;
    expect(await write({ prompt: 'b', length: 6 })).toBe('cdabcd');
    expect(seen).toEqual(['baa', 'bca', 'bcd', 'cda', 'dab', 'abc']);
    expect(await write({ prompt: 'abcdabcda', length: 2 })).toBe('bc');
    // Nothing to go on from: the first character, since there are no lines.
    expect(await write({ length: 2 })).toBe('bc');
    expect(await write({ length: 0 })).toBe('');
  });

  test('gives each character before it computes the next, and stops where nobody asks', async () => {
    seen.length = 0;
    let text = '';
    for await (const character of generateText(model, vocabulary, { length: Infinity })) {
      text += character;
      expect(seen).toHaveLength(text.length);
      if (text.length === 5) break;
    }
    expect(text).toBe('bcdab');
    expect(seen).toHaveLength(5);
  });

  test('draws by its seed, temperature and top-k', async () => {
    const unsure = modelOf(1);
    const options = { length: 40, seed: 3 };
    const text = await write(options, unsure);
    expect(await write({ ...options, temperature: 1, prompt: '' }, unsure)).toBe(text);
    expect(await write({ ...options, seed: 4 }, unsure)).not.toBe(text);
    // What a seed writes is pinned: the command line has written the same.
    expect(text).toBe('cabccadabcddabbcdabdbcdacccabbdbcddbcdaa');
    const likeliest = 'bcda'.repeat(10);
    expect(await write({ ...options, temperature: 0 }, unsure)).toBe(likeliest);
    expect(await write({ ...options, topK: 1 }, unsure)).toBe(likeliest);
    expect(await write({ ...options, temperature: 0.05 }, unsure)).toBe(likeliest);
  });

  test('throws the reason of a signal', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const text = generateText(model, vocabulary, { length: 9, signal: controller.signal });
    expect(await text.next()).toEqual({ done: false, value: 'b' });
    controller.abort(reason);
    await expect(text.next()).rejects.toBe(reason);
    expect(await text.next()).toEqual({ done: true, value: undefined });
  });

  test('knows a model that writes text by its vocabulary, window and outputs', () => {
    expect(vocabularyOf(model)).toBe(vocabulary);
    const other = (artifact: Partial<TextModel['artifact']>) =>
      vocabularyOf({ artifact: { ...model.artifact, ...artifact } });
    expect(other({ preprocessing: [] })).toBeUndefined();
    expect(other({ preprocessing: [rescale({ scale: 2 })] })).toBeUndefined();
    expect(other({ output: { shape: [null, 4], dtype: 'float32' } })).toBeUndefined();
    expect(other({ output: { shape: [null, 3, 5], dtype: 'float32' } })).toBeUndefined();
    expect(other({ input: { a: model.artifact.input } })).toBeUndefined();
  });

  test.each<[string, Partial<GenerateTextOptions>, string]>([
    ['a prompt of other characters', { prompt: 'abx' }, 'prompt, characters, index 2'],
    ['a negative temperature', { temperature: -1 }, 'temperature: expected a number of at least 0, got -1'],
    ['no choice at all', { topK: 0 }, 'top-k: expected an integer of at least 1, got 0'],
    ['half a character', { length: 0.5 }, 'length: expected an integer of at least 0, or Infinity, got 0.5'],
  ])('refuses %s, before anything is computed', (_, options, message) => {
    expect(() => generateText(model, vocabulary, { length: 3, ...options })).toThrow(message);
  });

  test('refuses a model without a window of a known size', () => {
    const free = {
      ...model,
      artifact: { ...model.artifact, input: { shape: [null, null], dtype: 'int32' } },
    };
    expect(() => generateText(free as TextModel, vocabulary, { length: 1 })).toThrow(
      'generateText: expected a model that takes windows [batch, context], got [null,null]',
    );
  });
});
