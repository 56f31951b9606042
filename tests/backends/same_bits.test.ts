import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requires } from '@tenon-ml/testkit';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { bundle } from '../bench/bundle.mjs';
import { CHROMIUM, chromiumPath, launchChromium } from '../e2e/chromium.js';
import { findNode24, NODE_24 } from '../hosts/node24.js';
import { withPage } from '../hosts/page.js';
import { type DigitsRun, trainDigits } from './digits_run.js';

const STEPS = 30;
const TIMEOUT = 120_000;
const script = join(import.meta.dirname, 'digits_run.ts');
const node24 = await findNode24();

async function trainInNode(node: string): Promise<DigitsRun> {
  const file = await bundle(script);
  try {
    const code = `console.log(JSON.stringify(await (await import(process.argv[1])).trainDigits(${STEPS})))`;
    const { stdout } = await promisify(execFile)(node, ['--input-type=module', '--eval', code, file]);
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) as string);
  } finally {
    rmSync(file, { force: true });
  }
}

/** In a page on its own, and in one that is cross-origin isolated. */
async function trainInChromium(): Promise<DigitsRun[]> {
  const { outputFiles } = await build({
    entryPoints: [script],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'digits',
    platform: 'browser',
    target: 'es2022',
    conditions: ['@tenon-ml/source'],
    logLevel: 'silent',
  });
  const files = { '/digits.js': outputFiles[0].text } as const;
  const browser = await launchChromium();
  try {
    const runs: DigitsRun[] = [];
    for (const isolated of [false, true]) {
      const train = (page: Page) => page.evaluate<DigitsRun>(`digits.trainDigits(${STEPS})`);
      runs.push(await withPage(browser, files, { isolated }, train));
    }
    return runs;
  } finally {
    await browser.close();
  }
}

describe('a seeded training ends in the same bits', () => {
  const here = trainDigits(STEPS);

  async function expectSameBits(there: DigitsRun): Promise<void> {
    const expected = await here;
    // What goes in first: a difference there says that it isn't the kernels'.
    expect(there.drawn).toEqual(expected.drawn);
    expect(there).toEqual(expected);
  }

  test('on this Node, where every parameter moves', { timeout: TIMEOUT }, async () => {
    const { drawn, losses, trained, kernelsInJavaScript } = await here;
    console.log(JSON.stringify({ loss: losses.at(-1), trained, kernelsInJavaScript }));
    expect(losses).toHaveLength(STEPS);
    expect(losses.every(Number.isFinite)).toBe(true);
    for (const [name, hash] of Object.entries(drawn.params)) {
      expect(trained[`params.${name}`]).not.toBe(hash);
    }
  });

  test.skipIf(!requires(node24, NODE_24))('on Node 24', { timeout: TIMEOUT }, async () => {
    await expectSameBits(await trainInNode(node24 as string));
  });

  test.skipIf(!requires(chromiumPath, CHROMIUM))('in Chromium', { timeout: TIMEOUT }, async () => {
    for (const run of await trainInChromium()) await expectSameBits(run);
  });
});
