import { join } from 'node:path';
import { requires } from '@tenon-ml/testkit';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { CHROMIUM, chromiumPath, launchChromium } from './chromium.js';
import { train } from './fixtures/train_in_page.js';

describe.skipIf(!requires(chromiumPath, CHROMIUM))('in a page', () => {
  test('the built packages train, save, load and classify as they do in Node', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(import.meta.dirname, 'fixtures/train_in_page.ts')],
      bundle: true,
      minify: true,
      write: false,
      platform: 'browser',
      format: 'iife',
      globalName: 'bundle',
      target: 'es2022',
      logLevel: 'silent',
    });
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => complaints.push(message.text()));
      await page.addScriptTag({ content: outputFiles[0].text });
      const there = JSON.parse(await page.evaluate('bundle.train().then(JSON.stringify)')) as Awaited<
        ReturnType<typeof train>
      >;
      expect(complaints).toEqual([]);
      const here = await train();
      expect(there.accuracy).toBeGreaterThan(0.9);
      expect(there.label).toBe('0');
      // The same draws and masks everywhere; Chromium's V8 is newer than Node's, and its exp may differ in the last bit.
      expect(there.losses.length).toBe(here.losses.length);
      for (const [i, loss] of there.losses.entries())
        expect(Math.abs(loss - here.losses[i])).toBeLessThan(1e-3);
      for (const [path, sum] of Object.entries(there.sums)) expect(sum / here.sums[path]).toBeCloseTo(1, 3);
    } finally {
      await browser.close();
    }
  }, 120_000);
});
