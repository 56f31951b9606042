import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requires } from '@tenon-ml/testkit';
import { build as esbuild } from 'esbuild';
import { build as vite } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHROMIUM, chromiumPath, launchChromium } from './chromium.js';

interface Result {
  value: number;
  kernel: number[][][][];
  weights: number[][];
  registered: string[];
  oneEngine: boolean;
  tensors: number;
}

const fixture = join(import.meta.dirname, 'fixtures/differentiate.js');
const built = existsSync(join(import.meta.dirname, '../../packages/core/dist/index.js'));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-bundlers-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs a module of Node that exports `differentiate`. */
async function inNode(file: string): Promise<Result> {
  const program = `const { differentiate } = await import(${JSON.stringify(file)});
console.log(JSON.stringify(await differentiate()));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

/** Runs a script that defines `bundle.differentiate` in a page. */
async function inChromium(script: string): Promise<Result> {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.addScriptTag({ content: script });
    expect(errors).toEqual([]);
    return JSON.parse(await page.evaluate('bundle.differentiate().then(JSON.stringify)'));
  } finally {
    await browser.close();
  }
}

async function withEsbuild(platform: 'node' | 'browser'): Promise<string> {
  const { outputFiles } = await esbuild({
    entryPoints: [fixture],
    bundle: true,
    minify: true,
    write: false,
    platform,
    format: platform === 'node' ? 'cjs' : 'iife',
    globalName: 'bundle',
    target: 'es2022',
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
}

async function withVite(platform: 'node' | 'browser'): Promise<string> {
  const output = await vite({
    root: join(import.meta.dirname, 'fixtures'),
    configFile: false,
    logLevel: 'error',
    ...(platform === 'node' ? { ssr: { noExternal: true } } : {}),
    build: {
      write: false,
      minify: true,
      ssr: platform === 'node' ? fixture : false,
      ...(platform === 'browser' ? { lib: { entry: fixture, formats: ['iife'], name: 'bundle' } } : {}),
    },
  });
  const [bundle] = [output].flat();
  if (bundle === undefined || !('output' in bundle)) throw new Error('vite gave no bundle');
  expect(bundle.output.filter(({ type }) => type === 'chunk')).toHaveLength(1);
  return bundle.output[0].code;
}

describe.skipIf(!requires(built, 'the built packages (npm run build)'))('the built core', () => {
  let reference: Result;

  beforeAll(async () => {
    reference = await inNode(fixture);
  });

  /** Gradients are equal wherever they run; `Math.exp` may differ in its last bits between engines. */
  function expectReference(result: Result): void {
    expect(result.oneEngine).toBe(true);
    expect(result.tensors).toBe(0);
    expect(result.registered).toEqual(['Conv2D', 'MaxPool', 'Softmax', 'Dilation2D', 'LRN']);
    const flat = ({ value, kernel, weights }: Result) => [value, kernel, weights].flat(4) as number[];
    expect(flat(result)).toHaveLength(flat(reference).length);
    for (const [i, value] of flat(result).entries()) expect(value).toBeCloseTo(flat(reference)[i]!, 5);
  }

  it('differentiates in plain Node', () => {
    expectReference(reference);
    expect(reference.kernel.flat(3).every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
  });

  it('differentiates in Node, bundled by esbuild', async () => {
    const file = join(folder, 'esbuild.cjs');
    await writeFile(file, await withEsbuild('node'));
    expectReference(await inNode(file));
  });

  it('differentiates in Node, bundled by vite', async () => {
    const file = join(folder, 'vite.mjs');
    await writeFile(file, await withVite('node'));
    expectReference(await inNode(file));
  });

  describe.skipIf(!requires(chromiumPath, CHROMIUM))('in Chromium', () => {
    it.each([
      ['esbuild', withEsbuild],
      ['vite', withVite],
    ])('differentiates, bundled by %s', async (_, bundle) => {
      expectReference(await inChromium(await bundle('browser')));
    });
  });
});
