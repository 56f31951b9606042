import { createKey, type Model, type NdArray } from '@tenon-ml/core';
import { characters, rescale } from '@tenon-ml/data';
import { describe, expect, test } from 'vitest';
import { drawIndex, sampleText, vocabularyOf } from '../src/sample_text.js';

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

describe('sampleText', () => {
  const vocabulary = characters('abcd');
  const seen: string[] = [];
  /** A model of the context 3 that says after each character the next of the alphabet. */
  const model = {
    artifact: {
      preprocessing: [vocabulary],
      input: { shape: [null, 3], dtype: 'int32' },
      output: { shape: [null, 3, 4], dtype: 'float32' },
    },
    async predict({ data }: NdArray<'int32'>) {
      seen.push(String.fromCodePoint(...data));
      const next = Array.from(
        vocabulary.apply({ dtype: 'int32', shape: [3], data }).data as Int32Array,
        (i) => (i + 1) % 4,
      );
      const output = next.flatMap((index) => [0, 1, 2, 3].map((i) => (i === index ? 50 : 0)));
      return { dtype: 'float32', shape: [1, 3, 4], data: Float32Array.from(output) };
    },
  } as unknown as Model;
  const options = { temperature: 1, length: 6, seed: 0 };

  test('goes on from the prompt, through a window that moves', async () => {
    seen.length = 0;
    expect(await sampleText(model, vocabulary, { ...options, prompt: 'b' })).toBe('cdabcd');
    expect(seen).toEqual(['baa', 'bca', 'bcd', 'cda', 'dab', 'abc']);
    expect(await sampleText(model, vocabulary, { ...options, prompt: 'abcdabcda', length: 2 })).toBe('bc');
    // Nothing to go on from: the first character, since there are no lines.
    expect(await sampleText(model, vocabulary, { ...options, prompt: '', length: 2 })).toBe('bc');
  });

  test('knows a model that writes text by its vocabulary, window and outputs', () => {
    expect(vocabularyOf(model)).toBe(vocabulary);
    const other = (artifact: object) =>
      vocabularyOf({ artifact: { ...model.artifact, ...artifact } } as Model);
    expect(other({ preprocessing: [] })).toBeUndefined();
    expect(other({ preprocessing: [rescale({ scale: 2 })] })).toBeUndefined();
    expect(other({ output: { shape: [null, 4], dtype: 'float32' } })).toBeUndefined();
    expect(other({ output: { shape: [null, 3, 5], dtype: 'float32' } })).toBeUndefined();
    expect(other({ input: { a: model.artifact.input } })).toBeUndefined();
  });

  test('refuses a prompt of other characters', async () => {
    await expect(sampleText(model, vocabulary, { ...options, prompt: 'abx' })).rejects.toThrow(
      /^prompt, characters, index 2/,
    );
  });
});
