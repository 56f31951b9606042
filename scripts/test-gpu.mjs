/**
 * `npm run test:gpu`: on a machine with a GPU, what software stands in for elsewhere: the tests of backends (vitest's
 * projects `webgpu` and `webgpu-f16`), tfjs-core's own suite, then the benchmarks that need one, beside their peers. All of
 * them run, and the exit code tells whether all passed.
 *
 * Where there is no GPU, it says so and ends with 0.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, run, toolEnvironment } from './run.mjs';
import { setup } from './setup.mjs';

const env = toolEnvironment();
const steps = {
  tests: ['vitest', 'run', '--project=webgpu', '--project=webgpu-f16'],
  'tfjs-core': [process.execPath, 'tests/backends/tfjs_suite.mjs', 'webgpu'],
  bench: [process.execPath, 'tests/bench/run.mjs', 'tests/bench/bench.ts', 'webgpu'],
  peak: [process.execPath, 'tests/bench/run.mjs', 'tests/bench/gpu_peak.ts'],
};

process.exitCode = await main();

async function main() {
  const failed = await setup();
  if (failed !== 0) return failed;
  const found = await findGpu();
  if (!found.isHardware) {
    console.log(`skipped: ${found.description}`);
    return 0;
  }
  console.log(`on ${found.description}`);
  const rows = [];
  for (const [name, [command, ...args]] of Object.entries(steps)) {
    console.log(`\n== ${name}`);
    rows.push({ name, code: (await run(command, args, { env })).code });
  }
  console.log();
  for (const { name, code } of rows) console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${name}`);
  return rows.every(({ code }) => code === 0) ? 0 : 1;
}

/** The GPU that Dawn finds by itself, in words. */
async function findGpu() {
  const path = createRequire(join(root, 'tests/package.json')).resolve('webgpu');
  const { create } = await import(pathToFileURL(path).href);
  // Held until the end: Dawn takes the process along when it is collected.
  globalThis.dawn = create([]);
  const adapter = await globalThis.dawn.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return { isHardware: false, description: 'WebGPU found no GPU (tenon doctor says more)' };
  const { vendor, architecture, description } = adapter.info;
  const name = [vendor, architecture, description].filter(Boolean).join(' ');
  const isSoftware = /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(name);
  return isSoftware
    ? { isHardware: false, description: `${name} is a GPU in software` }
    : { isHardware: true, description: name };
}
