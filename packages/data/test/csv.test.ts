import { toNested } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromCsv, parseCsv } from '../src/index.js';

const iris = `sepal_length,petal_length,species
5.1,1.4,setosa
7.0,4.7,versicolor
6.3,6.0,virginica
4.9,1.4,setosa
`;

describe('parseCsv', () => {
  test('reads what a writer after RFC 4180 writes: delimiters, quotes and line breaks in cells', () => {
    const cell = fc.oneof(
      fc.string({ unit: fc.constantFrom('a', 'é', '1', ' ', ',', ';', '"', '\n', '|'), maxLength: 6 }),
      fc.constantFrom('', '1.5', 'x'),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }).chain((fields) =>
          fc.array(fc.array(cell, { minLength: fields, maxLength: fields }), {
            minLength: 1,
            maxLength: 8,
          }),
        ),
        fc.constantFrom(',', ';', '\t', '|'),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (rows, delimiter, lineEnd, bom, lastEnd, quoteAll) => {
          const write = (value: string) =>
            quoteAll || value === '' || /["\n]/.test(value) || value.includes(delimiter)
              ? `"${value.replaceAll('"', '""').replaceAll('\n', lineEnd)}"`
              : value;
          const text =
            rows.map((row) => row.map(write).join(delimiter)).join(lineEnd) + (lastEnd ? lineEnd : '');
          const table = parseCsv(bom ? `\ufeff${text}` : text, { delimiter, header: false });
          expect(table.rows).toEqual(rows);
          // The line that a record begins on: one more than the line breaks before it.
          let line = 1;
          for (const [r, row] of rows.entries()) {
            expect(table.lines[r]).toBe(line);
            line += 1 + row.join('').split('\n').length - 1;
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('empty cells without quotes are cells', () => {
    expect(parseCsv('a,b,c\n,,\n1,,3\n,2,').rows).toEqual([
      ['', '', ''],
      ['1', '', '3'],
      ['', '2', ''],
    ]);
  });

  test.each<[string, string, string]>([
    ['a short record', 'a,b,c\n1,2,3\n4,5\n6,7,8\n', 'iris.csv:3: expected 3 fields, got 2.'],
    ['a long record', 'a,b\n1,2\n4,5,6\n', 'iris.csv:3: expected 2 fields, got 3.'],
    [
      'a short record after quoted line breaks',
      'a,b\n"1\n\n",2\n"x",2\n4\n',
      'iris.csv:6: expected 2 fields, got 1.',
    ],
    [
      'the same with \\r\\n and a byte-order mark',
      '\ufeffa,b\r\n"1\r\n\r\n",2\r\n"x",2\r\n4\r\n',
      'iris.csv:6: expected 2 fields, got 1.',
    ],
    ['a blank line', 'a,b\n1,2\n\n3,4\n', 'iris.csv:3: expected 2 fields, got a blank line.'],
    ['a blank first line', '\na,b\n', 'iris.csv:1: expected a record, got a blank line.'],
    [
      'a quote that isn’t closed',
      'a,b\n1,"2\n3,4\n',
      'iris.csv:2: expected the quote opened here to be closed, got the end of the file.',
    ],
    [
      'text after a quote',
      'a,b\n1,"2"x\n',
      "iris.csv:2: expected ',' or the end of the line after a closing quote, got 'x'. A quote within quotes is written twice.",
    ],
    [
      'a quote within a field',
      'a,b\n1,2"x"\n',
      'iris.csv:2: expected no quote within an unquoted field, got one. Quote the whole field.',
    ],
    [
      'a carriage return alone',
      'a,b\n1,2\r3,4\n',
      'iris.csv:2: expected lines that end in \\n or \\r\\n, got a carriage return alone.',
    ],
    [
      'a name twice',
      'a,b,a\n1,2,3\n',
      "iris.csv:1: expected a different name for every column, got 'a' twice.",
    ],
    ['no name', 'a,,c\n1,2,3\n', 'iris.csv:1: expected a name for every column, got none for column 2.'],
    [
      'a record in the header’s place',
      '1,2\n3,4\n',
      "iris.csv:1: expected the columns' names, got numbers (1,2). For a file without a header pass { header: false }.",
    ],
    ['an empty text', '', 'iris.csv: expected a header and records, got an empty text.'],
  ])('refuses %s', (_, text, message) => {
    expect(() => parseCsv(text, { file: 'iris.csv' })).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID', message }),
    );
  });

  test('a broken record anywhere is found at its line', () => {
    fc.assert(
      fc.property(fc.nat(30), fc.integer({ min: 2, max: 6 }), fc.boolean(), (at, fields, longer) => {
        const good = Array.from({ length: 31 }, () => Array(fields).fill('1').join(','));
        good[at] = Array(longer ? fields + 1 : fields - 1)
          .fill('1')
          .join(',');
        const header = Array.from({ length: fields }, (_, i) => `c${i}`).join(',');
        expect(() => parseCsv([header, ...good].join('\n'), { file: 'f' })).toThrow(
          `f:${at + 2}: expected ${fields} fields, got ${longer ? fields + 1 : fields - 1}.`,
        );
      }),
    );
  });

  test('names come from the header, from the options, or are made', () => {
    expect(parseCsv(iris).columns).toEqual(['sepal_length', 'petal_length', 'species']);
    expect(parseCsv('1,2\n', { header: ['x', 'y'] })).toMatchObject({
      columns: ['x', 'y'],
      rows: [['1', '2']],
    });
    expect(parseCsv('1,2\n', { header: false }).columns).toEqual(['column_1', 'column_2']);
    expect(() => parseCsv('1,2\n', { header: ['x'] })).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID' }),
    );
    expect(() => parseCsv('1,2\n', { delimiter: '::' })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});

describe('fromCsv', () => {
  test('gives features, and labels as indices of sorted classes', async () => {
    const { examples, featureNames, classNames } = fromCsv(iris, { target: 'species' });
    expect(featureNames).toEqual(['sepal_length', 'petal_length']);
    expect(classNames).toEqual(['setosa', 'versicolor', 'virginica']);
    expect(examples.length).toBe(4);
    const [batch] = await examples.batch(4).toArray();
    expect(batch.input).toEqual({
      dtype: 'float32',
      shape: [4, 2],
      data: Float32Array.of(5.1, 1.4, 7, 4.7, 6.3, 6, 4.9, 1.4),
    });
    expect(batch.target).toEqual({ dtype: 'int32', shape: [4], data: Int32Array.of(0, 1, 2, 0) });
  });

  test('takes columns by number, a choice of features, and numeric labels in the order of their values', async () => {
    const text = '10, 1.5,7\n9,2.5 ,8\n10,-3e-1,9\n';
    const { examples, classNames, featureNames } = fromCsv(text, {
      header: false,
      target: 0,
      features: [-1, 'column_2'],
    });
    expect(classNames).toEqual(['9', '10']);
    expect(featureNames).toEqual(['column_3', 'column_2']);
    const all = await examples.toArray();
    expect(
      all.map(({ input }) => [...(input.data as Float32Array)].map((value) => Math.round(value * 10) / 10)),
    ).toEqual([
      [7, 1.5],
      [8, 2.5],
      [9, -0.3],
    ]);
    expect(all.map(({ target }) => toNested(target))).toEqual([1, 0, 1]);
  });

  test('keeps the classes of a trained model', async () => {
    const classNames = ['virginica', 'versicolor', 'setosa', 'other'];
    const known = fromCsv(iris, { target: 'species', classNames });
    expect(known.classNames).toEqual(classNames);
    expect((await known.examples.toArray()).map(({ target }) => toNested(target))).toEqual([2, 1, 0, 2]);
    expect(() =>
      fromCsv(iris, { file: 'new.csv', target: 'species', classNames: ['setosa', 'versicolour'] }),
    ).toThrow(
      expect.objectContaining({
        code: 'LABEL_OUT_OF_RANGE',
        message:
          "new.csv:3, species: expected one of the 2 classes setosa, versicolour, got 'versicolor'. Did you mean 'versicolour'?",
      }),
    );
  });

  test('a regression has numbers as targets; without a target there are inputs alone', async () => {
    const one = fromCsv('x,y\n1,2\n3,4\n', { target: 'y', task: 'regression' });
    expect((await one.examples.toArray()).map(({ target }) => toNested(target))).toEqual([[2], [4]]);
    const two = fromCsv('x,y,z\n1,2,3\n', { target: ['z', 'y'], task: 'regression' });
    expect((await two.examples.toArray()).map(({ target }) => toNested(target))).toEqual([[3, 2]]);
    expect(await fromCsv('x,y\n1,2\n').examples.toArray()).toEqual([
      { input: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } },
    ]);
  });

  test.each<[string, string, string]>([
    ['a cell that is no number', '5.1,abc,setosa', "iris.csv:2, petal_length: expected a number, got 'abc'."],
    ['an empty cell', '5.1,,setosa', 'iris.csv:2, petal_length: expected a number, got an empty cell.'],
    ['blanks', '5.1," ",setosa', 'iris.csv:2, petal_length: expected a number, got an empty cell.'],
    ['NaN', 'NaN,1,setosa', "iris.csv:2, sepal_length: expected a number, got 'NaN'."],
    ['Infinity', 'Infinity,1,setosa', "iris.csv:2, sepal_length: expected a number, got 'Infinity'."],
    ['a hexadecimal', '0x10,1,setosa', "iris.csv:2, sepal_length: expected a number, got '0x10'."],
    ['a number with a unit', '5cm,1,setosa', "iris.csv:2, sepal_length: expected a number, got '5cm'."],
    [
      'what float32 can’t hold',
      '1e39,1,setosa',
      'iris.csv:2, sepal_length: expected a number that float32 holds, got 1e39.',
    ],
    ['an empty label', '1,2,', 'iris.csv:2, species: expected a label, got an empty cell.'],
  ])('refuses %s', (_, row, message) => {
    const text = `sepal_length,petal_length,species\n${row}\n`;
    expect(() => fromCsv(text, { file: 'iris.csv', target: 'species' })).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID', message }),
    );
  });

  test('a broken cell has the line of its record, after quoted line breaks', () => {
    expect(() => fromCsv('x,label\n1,"a\nb"\n?,c\n', { file: 'f.csv', target: 'label' })).toThrow(
      "f.csv:4, x: expected a number, got '?'.",
    );
  });

  test('refuses columns that don’t exist', () => {
    expect(() => fromCsv(iris, { file: 'iris.csv', target: 'specie' })).toThrow(
      "iris.csv: There is no column 'specie'. Did you mean 'species'?",
    );
    expect(() => fromCsv(iris, { target: 3 })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => fromCsv(iris, { target: ['species', 'petal_length'] })).toThrow(
      "pass { task: 'regression' }",
    );
    expect(() => fromCsv('a,b\n')).toThrow('csv: expected at least one record, got none.');
  });
});
