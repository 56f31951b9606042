import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const exec = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
let folder: string;

/** The folders of what is published. */
async function published(): Promise<{ path: string; name: string }[]> {
  const found: { path: string; name: string }[] = [];
  for (const group of ['packages', 'apps']) {
    for (const name of await readdir(join(root, group))) {
      const manifest = await readFile(join(root, group, name, 'package.json'), 'utf8').then(
        JSON.parse,
        () => undefined,
      );
      if (manifest && !manifest.private) found.push({ path: join(root, group, name), name: manifest.name });
    }
  }
  return found;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-consumer-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('what npm would install works outside of this repository: the command line, and a program with strict types', async () => {
  const dependencies: Record<string, string> = {};
  for (const { path, name } of await published()) {
    const { stdout } = await exec('pnpm', ['pack', '--json', '--pack-destination', folder], { cwd: path });
    dependencies[name] = `file:${JSON.parse(stdout).filename}`;
  }
  const core = { '@tensorflow/tfjs-core': '4.22.0', '@types/node': '20.19.0' };
  await writeFile(
    join(folder, 'package.json'),
    // Tenon's own packages refer to each other by version; these are the files that would be published under it.
    JSON.stringify({
      name: 'consumer',
      private: true,
      type: 'module',
      dependencies: { ...dependencies, ...core },
      overrides: dependencies,
    }),
  );
  await exec('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: folder,
    maxBuffer: 1e8,
  });

  const { stdout } = await exec(join(folder, 'node_modules/.bin/tenon'), ['recipes', '--json'], {
    cwd: folder,
  });
  expect(JSON.parse(stdout).recipes.map(({ name }: { name: string }) => name)).toContain('digits-cnn');

  await writeFile(
    join(folder, 'program.ts'),
    await readFile(join(import.meta.dirname, 'fixtures/train_in_page.ts')),
  );
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        module: 'nodenext',
        target: 'es2022',
        skipLibCheck: false,
        outDir: 'out',
        types: ['node'],
      },
      files: ['program.ts'],
    }),
  );
  const checked = await exec(join(root, 'node_modules/.bin/tsc'), ['-p', folder]).catch((error) => error);
  // tfjs-core's own declarations name a type, Long, that its package doesn't bring.
  const problems = (checked.stdout as string)
    .split('\n')
    .filter((line) => /error/.test(line) && !/tfjs-core/.test(line));
  expect(problems).toEqual([]);
  const run =
    "const { train } = await import('./out/program.js'); const { accuracy, label } = await train(); console.log(JSON.stringify({ accuracy, label }));";
  const result = await exec(process.execPath, ['--input-type=module', '-e', run], { cwd: folder });
  expect(JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ label: '0' });
  expect(result.stderr).toBe('');
}, 240_000);
