/**
 * `npm run test:gpu`: on a machine with a GPU, what software stands in for elsewhere: the tests of backends (vitest's
 * projects `webgpu` and `webgpu-f16`), tfjs-core's own suite, then the benchmarks that need one, beside their peers. All of
 * them run, and the exit code tells whether all passed.
 *
 * Where there is no GPU, it says so and ends with 0.
 */
import { run, toolEnvironment } from './run.mjs';
import { setup } from './setup.mjs';

// A real GPU is quick enough for every case of a property.
const env = { ...toolEnvironment(), TENON_SLOW: '1' };
const ts = ['tests/bench/run.mjs'];
const steps = {
  tests: ['vitest', 'run', '--project=webgpu', '--project=webgpu-f16'],
  'tfjs-core': [process.execPath, 'tests/backends/tfjs_suite.mjs', 'webgpu'],
  bench: [process.execPath, ...ts, 'tests/bench/bench.ts', 'webgpu'],
  peak: [process.execPath, ...ts, 'tests/bench/gpu_peak.ts'],
};

process.exitCode = await main();

async function main() {
  const failed = await setup();
  if (failed !== 0) return failed;
  const found = await findGpu();
  if (found.missing || found.software) {
    console.log(`skipped: ${found.missing ?? `there is only ${found.device}`}`);
    return 0;
  }
  console.log(`on ${found.device}`);
  const rows = [];
  for (const [name, [command, ...args]] of Object.entries(steps)) {
    console.log(`\n== ${name}`);
    rows.push({ name, code: (await run(command, args, { env })).code });
  }
  console.log();
  for (const { name, code } of rows) console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${name}`);
  return rows.every(({ code }) => code === 0) ? 0 : 1;
}

/** What the backend finds by itself: its device, whether that is in software, or why there is none. */
async function findGpu() {
  const { code, stdout } = await run(process.execPath, [...ts, 'tests/bench/find_gpu.ts'], {
    env,
    output: 'collect',
  });
  if (code !== 0) throw new Error('the search for a GPU failed');
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
