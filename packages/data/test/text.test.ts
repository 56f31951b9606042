import { buildTransform, createKey, type NdArray, rows, toNested } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  characters,
  codePoints,
  isCharacters,
  rescale,
  textWindows,
  transformInput,
  transforms,
} from '../src/index.js';
import { rejection, throughJson } from './support.js';

const text = 'to be, or not to be: that is the question';
const vocabulary = characters(text);

/** What indices or code points say. */
const read = (array: NdArray): string => String.fromCodePoint(...(array.data as Int32Array));

describe('characters', () => {
  test('each once, in the order of their code points', () => {
    expect(vocabulary.names.join('')).toBe(' ,:abehinoqrstu');
    expect(vocabulary.names).toHaveLength(15);
    expect(toNested(vocabulary.encode('be'))).toEqual([4, 5]);
    expect(vocabulary.decode(vocabulary.encode('not to be'))).toBe('not to be');
  });

  test('encodes and decodes every text of its own characters, beyond the basic plane too', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.nat(), (sample, seed) => {
        const own = characters(sample);
        expect(own.decode(own.encode(sample))).toBe(sample);
        expect(own.names.join('')).toBe(
          [...new Set(sample)].sort((a, b) => Number(a.codePointAt(0)) - Number(b.codePointAt(0))).join(''),
        );
        expect(read(codePoints(sample))).toBe(sample);
        const order = createKey(seed).permutation(own.names.length);
        const shuffled = [...order].map((i) => own.names[i]).join('');
        expect(characters(shuffled).spec).toEqual(own.spec);
      }),
    );
  });

  test('is a transform of code points that travels with a model', () => {
    const built = buildTransform(throughJson(vocabulary.spec) as typeof vocabulary.spec, transforms);
    expect(isCharacters(built) && built.names).toEqual(vocabulary.names);
    expect(isCharacters(rescale({ scale: 2 }))).toBe(false);
    const batch: NdArray = { dtype: 'int32', shape: [2, 2], data: codePoints('orbe').data };
    expect(built.apply(batch)).toEqual({
      dtype: 'int32',
      shape: [2, 2],
      data: vocabulary.encode('orbe').data,
    });
  });

  test('names a character that it does not have', () => {
    expect(() => vocabulary.encode('to bé')).toThrow(
      'characters, index 4: expected one of the 15 characters of the vocabulary, got "é" (U+00E9).',
    );
    expect(() => vocabulary.apply({ dtype: 'int32', shape: [1], data: Int32Array.of(-1) })).toThrow(
      /-1, which is no code point/,
    );
    expect(() => vocabulary.decode({ dtype: 'int32', shape: [1], data: Int32Array.of(15) })).toThrow(
      /0 to 14, got 15/,
    );
    expect(() => characters('')).toThrow(/an empty one/);
  });

  test.each([
    [{}],
    [{ characters: '' }],
    [{ characters: 'ba' }],
    [{ characters: 'aa' }],
    [{ characters: 3 }],
  ])('refuses a saved one that is none: %j', (options) => {
    expect(() => buildTransform({ transform: 'characters', version: 1, ...options }, transforms)).toThrow(
      expect.objectContaining({ code: 'ARTIFACT_INVALID' }),
    );
  });
});

describe('textWindows', () => {
  test('the input is text, the target the next characters', async () => {
    const windows = textWindows(text, { vocabulary, context: 5 });
    expect(windows.length).toBe(text.length - 5);
    const all = await windows.toArray();
    for (const [i, { input, target }] of all.entries()) {
      expect(read(input)).toBe(text.slice(i, i + 5));
      expect(vocabulary.decode(target)).toBe(text.slice(i + 1, i + 6));
    }
    const [first] = await windows.map(transformInput(vocabulary)).take(1).toArray();
    expect(first.input).toEqual(vocabulary.encode('to be'));
  });

  test('batches are the stacked windows, whatever stride and context', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 15 }),
        fc.nat(99),
        async (context, stride, seed) => {
          const windows = textWindows(text, { vocabulary, context, stride }).shuffle({
            key: createKey(seed),
          });
          const single = await windows.toArray();
          const batches = await windows.batch(4).toArray();
          expect(batches.flatMap(({ input }) => [...input.data])).toEqual(
            single.flatMap(({ input }) => [...input.data]),
          );
          expect(batches.flatMap(({ target }) => [...target.data])).toEqual(
            single.flatMap(({ target }) => [...target.data]),
          );
          expect(batches[0].input.shape).toEqual([Math.min(4, single.length), context]);
          // The last one ends where the text does, or less than a stride before.
          const last = (single.length - 1) * stride + context + 1;
          expect(last <= text.length && last > text.length - stride).toBe(true);
        },
      ),
    );
  });

  test('random windows: others in every epoch, the same for a key, resumable', async () => {
    const random = textWindows(text, { vocabulary, context: 8 })
      .shuffle({ key: createKey(3) })
      .take(10)
      .batch(2);
    expect(random.length).toBe(5);
    const epoch = async (n: number) => (await random.toArray({ epoch: n })).map(({ input }) => read(input));
    expect(await epoch(1)).toEqual(await epoch(1));
    expect(await epoch(1)).not.toEqual(await epoch(2));
    const iterator = random.iterator({ epoch: 1 });
    await iterator.next();
    const later = random.iterator();
    await later.restore(throughJson(iterator.state()));
    expect((await later.next()).value?.target).toEqual((await iterator.next()).value?.target);
  });

  test('a text that is split, and windows that are not', async () => {
    const points = codePoints(text);
    const [train, validation] = [rows(points, 0, 20), rows(points, 20, text.length)];
    const held = textWindows(validation, { vocabulary, context: 4, stride: 4 });
    expect((await held.toArray()).map(({ input }) => read(input)).join('')).toBe(text.slice(20, 40));
    const error = await rejection(
      textWindows(train, { vocabulary, context: 4 }).split({ a: 0.5, b: 0.5 }, { contiguous: true }),
    );
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error.message).toContain('which overlap');
    const { a } = await held.split({ a: 0.6, b: 0.4 }, { contiguous: true });
    expect(a.length).toBe(3);
  });

  test('a text that is too short, and one with other characters', () => {
    expect(() => textWindows('to be', { vocabulary, context: 5 })).toThrow(/at least 6 characters.*got 5/);
    expect(() => textWindows('TO BE', { vocabulary, context: 2 })).toThrow(/"T" \(U\+0054\)/);
    expect(() => textWindows(text, { vocabulary, context: 0 })).toThrow(/context/);
  });
});
