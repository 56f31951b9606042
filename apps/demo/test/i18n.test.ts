import { describe, expect, it } from 'vitest';
import { data } from '../src/i18n/data.js';
import { drawing } from '../src/i18n/drawing.js';
import { errors } from '../src/i18n/errors.js';
import { layers } from '../src/i18n/layers.js';
import { network } from '../src/i18n/network.js';
import { shell } from '../src/i18n/shell.js';
import { takeHome } from '../src/i18n/take_home.js';
import { training } from '../src/i18n/training.js';
import { understanding } from '../src/i18n/understanding.js';

const all = { data, drawing, errors, layers, network, shell, takeHome, training, understanding };

/** Every text by its path: [in English, in Chinese]. */
function pairs(en: unknown, zh: unknown, path: string): [string, unknown, unknown][] {
  if (typeof en !== 'object' || en === null) return [[path, en, zh]];
  const names = [...new Set([...Object.keys(en), ...Object.keys((zh ?? {}) as object)])];
  const at = (value: unknown, name: string): unknown =>
    (value as { [name: string]: unknown } | undefined)?.[name];
  return names.flatMap((name) => pairs(at(en, name), at(zh, name), `${path}.${name}`));
}
const texts = Object.entries(all).flatMap(([name, { en, zh }]) => pairs(en, zh, name));

describe('the texts', () => {
  it('are in both languages, of the same kind', () => {
    expect(texts.length).toBeGreaterThan(400);
    const different = texts.filter(([, en, zh]) => typeof en !== typeof zh).map(([path]) => path);
    expect(different).toEqual([]);
  });

  it('say all that they are told in both', () => {
    for (const [path, en, zh] of texts) {
      if (typeof en !== 'function' || typeof zh !== 'function') continue;
      // A language without plurals, or with another order, may do without names for what it leaves out.
      const given = Array.from({ length: en.length }, (_, i) => `«${i}»`);
      const parts = (text: string): string[] => given.filter((part) => text.includes(part));
      const [english, chinese] = [en(...given), zh(...given)] as [string, string];
      expect(parts(chinese), path).toEqual(parts(english));
      expect(chinese, path).not.toContain('undefined');
    }
  });

  it('have no empty ones, no space at an end, and Chinese where Chinese is due', () => {
    for (const [path, en, zh] of texts) {
      if (typeof en !== 'string' || typeof zh !== 'string') continue;
      for (const text of [en, zh]) {
        expect(text, path).not.toBe('');
        expect(text.trim(), path).toBe(text);
      }
      expect(en, path).not.toMatch(/\p{Script=Han}/u);
      // What is the same in both is a name: one word, or two.
      if (!/\p{Script=Han}/u.test(zh)) expect(zh, path).toBe(en);
    }
  });
});
