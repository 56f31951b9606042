import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const LEFT_OUT = new Set(['node_modules', 'dist', '.turbo', '.git', 'runs', 'coverage', '.generated']);

/** Installing and building in a copy of the repository takes a while on a small machine. */
const TIMEOUT = 300_000;

let copy: string;

/** Runs a script of the copy with its tools first on the path; gives its output, or throws with it. */
async function inCopy(command: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, PATH: `${join(copy, 'node_modules/.bin')}:${process.env.PATH}` };
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, {
      cwd: copy,
      env,
      maxBuffer: 2 ** 26,
    });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  }
}

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'tenon-house-'));
  await cp(root, copy, {
    recursive: true,
    filter: (source) => relative(root, source) === '' || !LEFT_OUT.has(basename(source)),
  });
  await inCopy(
    'node',
    'scripts/new-package.mjs',
    'probability',
    '--description',
    'Distributions and their entropy',
  );
}, TIMEOUT);

afterAll(() => rm(copy, { recursive: true, force: true }));

describe('npm run new:package', () => {
  it('refuses a name that is taken, or that npm would refuse', async () => {
    await expect(inCopy('node', 'scripts/new-package.mjs', 'core')).rejects.toThrow(
      'packages/core is there already.',
    );
    await expect(inCopy('node', 'scripts/new-package.mjs', 'My_Package')).rejects.toThrow('in lower case');
  });

  it('enters the package in every list', async () => {
    const text = (path: string) => readFile(join(copy, path), 'utf8');
    expect(await text('README.md')).toContain(
      '| [probability](packages/probability) | Distributions and their entropy |',
    );
    expect(await text('.changeset/add-probability.md')).toContain("'@tenon-ml/probability': minor");
  });

  it(
    'makes a package that passes every check',
    async () => {
      await inCopy(
        'biome',
        'check',
        '--error-on-warnings',
        'packages/probability',
        '.size-limit.json',
        'tests/package.json',
      );
      await inCopy('node', 'scripts/check-arrows.mjs');
      // What has a size budget is built: the packages, and the studio.
      await inCopy(
        'turbo',
        'run',
        'build',
        '--filter=./packages/*',
        '--filter=@tenon-ml/demo',
        '--output-logs=errors-only',
      );
      await inCopy('node', 'scripts/build-types.mjs');
      await inCopy('node', 'scripts/check-publish.mjs', '@tenon-ml/probability');
      await inCopy('node', 'scripts/check-size.mjs');
      expect(await inCopy('vitest', 'run', '--project=probability', '--reporter=verbose')).toMatch(
        /Tests .*2 passed/,
      );
      expect(
        await inCopy('vitest', 'run', '--project=readme', '-t', 'probability', '--reporter=verbose'),
      ).toMatch(/packages\/probability\/README\.md:\d+ prints what it says/);
      const config = { extends: './tsconfig.json', include: ['packages/probability'] };
      await writeFile(join(copy, 'tsconfig.probability.json'), JSON.stringify(config));
      await inCopy('tsc', '-p', 'tsconfig.probability.json');
    },
    TIMEOUT,
  );

  it('is released together with the others', async () => {
    await inCopy('git', 'init', '--quiet');
    await inCopy('changeset', 'version');
    const version = async (name: string) =>
      JSON.parse(await readFile(join(copy, 'packages', name, 'package.json'), 'utf8')).version;
    expect(await version('probability')).not.toBe('0.0.0');
    expect(await version('core')).toBe(await version('probability'));
  });
});
