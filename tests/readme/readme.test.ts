import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'node:util';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Example, examplesOf, readmes } from './examples.js';

const root = join(import.meta.dirname, '../..');
// Inside the workspace, so that an example finds the packages as a user's file would.
const generated = join(import.meta.dirname, '.generated');

const files = readmes(root);
const examples: Example[] = [];
for (const { path } of files) {
  if (existsSync(join(root, path))) {
    examples.push(...examplesOf(path, await readFile(join(root, path), 'utf8')));
  }
}
const fileOf = (example: Example) => join(generated, `${example.title.replace(/\W+/g, '_')}.ts`);

beforeAll(async () => {
  await mkdir(generated, { recursive: true });
  // `export {}` makes a module of an example that imports nothing.
  for (const example of examples) await writeFile(fileOf(example), `${example.code}\nexport {};\n`);
});

afterEach(() => vi.restoreAllMocks());
afterAll(() => rm(generated, { recursive: true }));

describe('READMEs', () => {
  it.each(files.filter(({ needsExample }) => needsExample))('$path shows a runnable example', ({ path }) => {
    expect(examples.filter(({ title }) => title.startsWith(`${path}:`))).not.toHaveLength(0);
  });

  it('type-check', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
    const { options } = ts.parseJsonConfigFileContent(
      { ...config, include: [], files: ['_.ts'] },
      ts.sys,
      root,
    );
    const program = ts.createProgram(examples.map(fileOf), options);
    const problems = examples.flatMap((example) =>
      ts
        .getPreEmitDiagnostics(program, program.getSourceFile(fileOf(example)))
        .map(({ messageText }) => `${example.title}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
    );
    expect(problems).toEqual([]);
  });

  for (const example of examples) {
    it(`${example.title} prints what it says`, async () => {
      expect(example.expected, 'an example shows what it prints: console.log(x); // => value').not.toEqual(
        [],
      );
      const printed: string[] = [];
      vi.spyOn(console, 'log').mockImplementation((...values: unknown[]) => {
        printed.push(...format(...values).split('\n'));
      });
      await import(/* @vite-ignore */ fileOf(example));
      expect(printed.map((line) => line.trimEnd())).toEqual(example.expected);
    });
  }
});

describe('examplesOf', () => {
  it('finds runnable blocks, their lines and what they print', () => {
    const text = [
      '# x',
      '',
      '```ts',
      'no();',
      '```',
      '```ts runnable',
      'console.log(1); // => 1',
      '// => 2',
      '```',
      '',
    ];
    expect(examplesOf('README.md', text.join('\n'))).toEqual([
      { title: 'README.md:6', code: 'console.log(1); // => 1\n// => 2\n', expected: ['1', '2'] },
    ]);
  });
});
