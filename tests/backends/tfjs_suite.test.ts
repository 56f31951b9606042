import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { requires } from '@tenon-ml/testkit';
import { describe, expect, test } from 'vitest';
import { CHROMIUM, chromiumPath, launchChromium } from '../e2e/chromium.js';
import { findNode24, NODE_24 } from '../hosts/node24.js';
import { withPage } from '../hosts/page.js';
import { findVulkan, WEBGPU } from '../hosts/vulkan.js';
import { bundleSuite, type SuiteResult } from './tfjs_suite_bundle.mjs';
import { expectAllPassed, runInNode, TIMEOUT } from './tfjs_suite_run.js';

const node24 = await findNode24();
const vulkan = await findVulkan(import.meta.dirname);
test('tfjs-core’s own suite passes on this Node', { timeout: TIMEOUT }, async () => {
  expectAllPassed(await runInNode(process.execPath));
});

test.skipIf(!requires(node24, NODE_24))(
  'tfjs-core’s own suite passes on Node 24',
  { timeout: TIMEOUT },
  async () => {
    expectAllPassed(await runInNode(node24 as string));
  },
);

test.skipIf(!requires(vulkan.obstacle === '', `${WEBGPU}; ${vulkan.obstacle}`))(
  'tfjs-core’s own suite passes on WebGPU, but for what is named in tfjs_suite_bundle.mjs',
  { timeout: TIMEOUT },
  async () => {
    expectAllPassed(await runInNode(process.execPath, 'webgpu', vulkan.variables));
  },
);

describe.skipIf(!requires(chromiumPath, CHROMIUM))('tfjs-core’s own suite passes in Chromium', () => {
  const require = createRequire(import.meta.url);
  const jasmine = readFileSync(require.resolve('jasmine-core/lib/jasmine-core/jasmine.js'), 'utf8');
  // What Jasmine's own boot.js does, but for its report in HTML.
  const boot = `
    window.jasmine = jasmineRequire.core(jasmineRequire);
    Object.assign(window, jasmineRequire.interface(jasmine, jasmine.getEnv()));`;

  test.each([
    { name: 'in a cross-origin isolated page', isolated: true },
    { name: 'in a page without isolation, which can’t name SharedArrayBuffer', isolated: false },
  ])('$name', { timeout: TIMEOUT }, async ({ isolated }) => {
    const files = { '/jasmine.js': jasmine, '/boot.js': boot, '/suite.js': await bundleSuite('browser') };
    const browser = await launchChromium();
    try {
      await withPage(browser, files, { isolated }, async (page) => {
        expect(await page.evaluate('crossOriginIsolated')).toBe(isolated);
        expect(await page.evaluate('typeof SharedArrayBuffer')).toBe(isolated ? 'function' : 'undefined');
        expectAllPassed(await page.evaluate<SuiteResult>('suite.run()'));
      });
    } finally {
      await browser.close();
    }
  });
});
