import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { requires } from '@tenon-ml/testkit';
import { describe, expect, test } from 'vitest';
import { CHROMIUM, chromiumPath, launchChromium } from '../e2e/chromium.js';
import { findNode24, NODE_24 } from '../hosts/node24.js';
import { withPage } from '../hosts/page.js';
import { findVulkan, WEBGPU } from '../hosts/vulkan.js';
import { bundleSuite, type SuiteResult } from './tfjs_suite_bundle.mjs';

const node24 = await findNode24();
const vulkan = await findVulkan(import.meta.dirname);
const TIMEOUT = 300_000;

function expectAllPassed({ passed, failed, failures }: SuiteResult): void {
  expect(failures).toEqual([]);
  expect(failed).toBe(0);
  // tfjs-core 4.22 has some 4,200 specs.
  expect(passed).toBeGreaterThan(4000);
}

async function runInNode(
  node: string,
  backend?: string,
  variables: NodeJS.ProcessEnv = {},
): Promise<SuiteResult> {
  const script = join(import.meta.dirname, 'tfjs_suite.mjs');
  const output = await new Promise<string>((done, fail) => {
    const options = { timeout: TIMEOUT, maxBuffer: 2 ** 26, env: { ...process.env, ...variables } };
    execFile(node, [script, ...(backend ? [backend] : []), '--json'], options, (_, stdout, stderr) => {
      // A suite with failures exits with 1, and still says what they are.
      if (stdout.trimEnd().endsWith('}')) done(stdout);
      else fail(new Error(`The suite did not end:\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`));
    });
  });
  return JSON.parse(output.trimEnd().split('\n').at(-1) as string);
}

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
