import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { documentFromText, documentToText, presets } from '../src/index.js';
import { preset } from './support.js';

describe('a document as text', () => {
  test('comes back, is short, and needs no escapes in a link', async () => {
    for (const { document } of presets) {
      const text = await documentToText(document);
      expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(await documentFromText(text)).toEqual(document);
    }
    expect((await documentToText(preset('digits-cnn'))).length).toBeLessThan(1000);
    const named = { ...preset('digits-mlp'), name: '我的实验 🙂' };
    expect(await documentFromText(await documentToText(named))).toEqual(named);
  });

  test('that is damaged anywhere is one error', async () => {
    const text = await documentToText(preset('digits-cnn'));
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const refused = {
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^link: expected the text of an experiment/),
    };
    // The last character's lowest bits may say nothing.
    const place = fc.integer({ min: 0, max: text.length - 2 });
    await fc.assert(
      fc.asyncProperty(place, fc.constantFrom(...alphabet, '!', 'é', ' '), async (at, character) => {
        if (text[at] === character) return;
        const damaged = text.slice(0, at) + character + text.slice(at + 1);
        await expect(documentFromText(damaged)).rejects.toMatchObject(refused);
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: text.length - 3 }), async (end) => {
        await expect(documentFromText(text.slice(0, end))).rejects.toMatchObject(refused);
      }),
    );
  });

  test('that claims to be large is not inflated to its end', async () => {
    const bomb = deflateRawSync(new Uint8Array(50_000_000)).toString('base64url');
    expect(bomb.length).toBeLessThan(100_000);
    const before = process.memoryUsage().arrayBuffers;
    await expect(documentFromText(bomb)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      cause: expect.objectContaining({ message: 'more than 262144 bytes' }),
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
  });

  test('of a newer document says that it is newer', async () => {
    const newer = { ...preset('digits-mlp'), version: 2 };
    await expect(documentFromText(await documentToText(newer))).rejects.toMatchObject({
      code: 'FORMAT_TOO_NEW',
    });
    const wrong = { ...preset('digits-mlp'), seed: -1 };
    await expect(documentFromText(await documentToText(wrong))).rejects.toThrow(
      'link, seed: expected an integer',
    );
  });
});
