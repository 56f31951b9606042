/**
 * `npm run test:tfjs-suite [-- BACKEND]` in tests/: the suite that tfjs-core publishes with itself, on our backend
 * ('cpu': on tfjs's own, to see what is ours), run by the Jasmine that it was written for. The last line it prints is
 * the result as JSON where `--json` is given. `npm run test:tfjs-suite:webgpu` runs it on a GPU, over Dawn; VK_DRIVER_FILES
 * may name a driver, as /usr/lib/chromium/vk_swiftshader_icd.json of Debian's Chromium. `npm run test:tfjs-suite -- cuda`
 * runs it on TensorFlow.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { bundleSuite } from './tfjs_suite_bundle.mjs';

const json = process.argv.includes('--json');
const backend = process.argv.slice(2).find((argument) => argument !== '--json') ?? 'tenon-wasm';
const require = createRequire(import.meta.url);

// Inside this package, so that what stays outside of the bundle resolves from here.
const folder = resolve(import.meta.dirname, '../node_modules/.cache');
const file = join(folder, `tfjs_suite-${process.pid}.cjs`);
mkdirSync(folder, { recursive: true });
writeFileSync(file, await bundleSuite('node', backend));

const jasmineCore = require('jasmine-core');
// Makes the globals that the suite calls while it loads.
jasmineCore.boot(jasmineCore);
try {
  const { failures, ...counts } = await require(file).run();
  for (const failure of failures) console.error(`\n${failure}`);
  const { passed, failed, pending } = counts;
  console.log(`tfjs-core's suite on ${backend}: ${passed} passed, ${failed} failed, ${pending} pending`);
  if (json) console.log(JSON.stringify({ ...counts, failures }));
  // An empty suite doesn't pass.
  process.exitCode = failed === 0 && passed > 4000 ? 0 : 1;
} finally {
  rmSync(file, { force: true });
}
