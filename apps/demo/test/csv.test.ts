import { memoryStore, readText } from '@tenon-ml/core';
import { fromCsv, parseCsv } from '@tenon-ml/data';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCsv, guessDelimiter } from '../src/import/csv.js';
import { importFiles } from '../src/import/import_files.js';
import { expectError, fileOf } from './support.js';

const iris = 'sepal,petal,species\n5.1,1.4,setosa\n7.0,4.7,versicolor\n6.3,6,virginica\n';

/** What a dropped CSV comes to; the experiment must be able to read it. */
async function dropped(text: string, name = 'table.csv') {
  const store = memoryStore();
  const imported = await importFiles([fileOf(name, text)], store);
  if (imported.kind !== 'data' || imported.data.source !== 'csv') throw new Error('no CSV');
  const stored = await readText(store, imported.data.file);
  return { ...imported, data: imported.data, stored, read: fromCsv(stored, imported.data) };
}

describe('a CSV', () => {
  it('is kept as it is, with its columns and a guess', async () => {
    const { name, data, examples, columns, stored, notes, read } = await dropped(iris, 'iris.csv');
    expect([name, examples, notes, stored]).toEqual(['iris', 3, [], iris]);
    expect(data).toEqual({ source: 'csv', file: 'data.csv', target: 'species', task: 'classification' });
    expect(columns).toEqual([
      { name: 'sepal', numeric: true, distinct: 3 },
      { name: 'petal', numeric: true, distinct: 3 },
      { name: 'species', numeric: false, distinct: 3 },
    ]);
    expect(read.classNames).toEqual(['setosa', 'versicolor', 'virginica']);
  });

  it.each([
    [';', 'a;b;c\n1,5;2;x\n-3,25;4;"y;,"\n'],
    ['\t', 'a\tb\tc\n1.5\t2\tx\n-3.25\t4\t"y\t,"\n'],
  ])('with %j between fields is rewritten with commas', async (delimiter, text) => {
    const { stored, notes, data, read } = await dropped(text);
    expect(stored).toBe(`a,b,c\n1.5,2,x\n-3.25,4,"y${delimiter},"\n`);
    expect(notes[0]).toEqual({ code: 'DELIMITER', delimiter });
    expect(notes.slice(1)).toEqual(delimiter === ';' ? [{ code: 'DECIMAL_COMMAS', columns: ['a'] }] : []);
    expect(data.target).toBe('c');
    expect(read.featureNames).toEqual(['a', 'b']);
  });

  it.each([
    [
      'the last column of few labels',
      'id,colour,x,note\n1,red,2,one\n2,blue,3,one\n',
      'colour',
      'classification',
      ['id', 'x'],
    ],
    ['a last column of few numbers', 'x,y\n0.5,0\n0.7,1\n', 'y', 'classification', undefined],
    [
      'a last column of many numbers',
      `x,y\n${Array.from({ length: 30 }, (_, i) => `${i},${i / 7}\n`).join('')}`,
      'y',
      'regression',
      undefined,
    ],
  ] as const)('has for a target %s', async (_, text, target, task, features) => {
    const { data } = await dropped(text);
    expect(data).toEqual({ source: 'csv', file: 'data.csv', target, task, ...(features && { features }) });
  });

  it.each([
    ['one column', 'a\n1\n2\n', 'at least two columns'],
    ['no records', 'a,b\n', '0 records'],
    ['no numbers', 'a,b\nx,y\nz,w\n', 'one column of numbers'],
    ['a record that is too short', 'a,b\n1,2\n3\n', 'table.csv:3'],
    ['no header', '1,2\n3,4\n', "the columns' names"],
  ])('of %s is refused', async (_, text, message) => {
    await expectError(() => dropped(text), 'DATA_INVALID', 'table.csv', message);
  });

  it('has the delimiter that its first record has most of, outside quotes', () => {
    expect(guessDelimiter('"a;b;c;d",e\n1;2;3;4')).toBe(',');
    expect(guessDelimiter('"a,\n,,b";c\n')).toBe(';');
    expect(guessDelimiter('a\tb,c\td\n')).toBe('\t');
    expect(guessDelimiter('')).toBe(',');
  });

  it('formatCsv writes what parseCsv reads', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '1', ',', '"', '\n', ';', ' ', 'ü') });
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 4 }),
        fc.array(fc.array(cell, { minLength: 4, maxLength: 4 })),
        (n, all) => {
          const columns = ['a', 'b', 'c', 'd'].slice(0, n);
          // A record of empty cells alone is a blank line to no one here.
          const rows = all.map((row) => row.slice(0, n));
          expect(parseCsv(formatCsv({ columns, rows })).rows).toEqual(rows);
        },
      ),
    );
  });
});
