import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differences } from '../src/studio/differences.js';

describe('differences', () => {
  it('names the place, and what stands there', () => {
    const here = { name: 'a', training: { learningRate: 0.1, optimizer: 'adam' }, layers: [1, 2] };
    const there = { name: 'a', training: { learningRate: 0.2, optimizer: 'adam' }, layers: [1, 3], seed: 4 };
    expect(differences(here, there)).toEqual([
      { path: 'training.learningRate', here: '0.1', there: '0.2' },
      { path: 'layers', here: '[1,2]', there: '[1,3]' },
      { path: 'seed', here: '–', there: '4' },
    ]);
  });

  it('takes values of different kinds whole, null among them', () => {
    expect(differences({ data: { source: 'csv' } }, { data: null })).toEqual([
      { path: 'data', here: '{"source":"csv"}', there: 'null' },
    ]);
  });

  it('shortens what is long', () => {
    const [{ here, there }] = differences({ a: 'x'.repeat(120) }, { a: 'x'.repeat(121) });
    expect(here).toBe('x'.repeat(120));
    expect(there).toBe(`${'x'.repeat(119)}…`);
  });

  it('finds none in equal values, and is symmetric', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (a, b) => {
          expect(differences(a, structuredClone(a))).toEqual([]);
          const turned = differences(b, a).map(({ path, here, there }) => ({
            path,
            here: there,
            there: here,
          }));
          const order = (list: typeof turned) => [...list].sort((x, y) => (x.path < y.path ? -1 : 1));
          expect(order(turned)).toEqual(order(differences(a, b)));
        },
      ),
    );
  });
});
