import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A block of a README that is marked as runnable (```ts runnable). */
export interface Example {
  /** The README's path in the repository and the line of the block. */
  readonly title: string;
  readonly code: string;
  /** What `// =>` comments say that the block prints, line by line. */
  readonly expected: readonly string[];
}

/** The runnable blocks of a Markdown text. `path` is for titles and messages. */
export function examplesOf(path: string, markdown: string): Example[] {
  return [...markdown.matchAll(/^```ts runnable\n([\s\S]*?)^```$/gm)].map((match) => {
    const code = match[1]!;
    const line = markdown.slice(0, match.index).split('\n').length;
    const expected = [...code.matchAll(/\/\/ => ?(.*)$/gm)].map(([, text]) => text!.trimEnd());
    return { title: `${path}:${line}`, code, expected };
  });
}

/** The READMEs of the repository: its own, and that of every published package. */
export function readmes(root: string): { path: string; needsExample: boolean }[] {
  const members = ['packages', 'apps'].flatMap((group) =>
    readdirSync(join(root, group)).map((name) => join(group, name)),
  );
  const published = members.filter((folder) => {
    const manifest = join(root, folder, 'package.json');
    return existsSync(manifest) && !JSON.parse(readFileSync(manifest, 'utf8')).private;
  });
  return [
    { path: 'README.md', needsExample: false },
    { path: 'docs/worked-example.md', needsExample: true },
    ...published.map((folder) => ({
      path: join(folder, 'README.md'),
      // A command line is shown by commands; a package that exports nothing yet has nothing to show.
      needsExample:
        folder.startsWith('packages') &&
        readFileSync(join(root, folder, 'src/index.ts'), 'utf8').trim() !== 'export {};',
    })),
  ];
}
