/**
 * `npm run test:cuda [-- vitest's arguments]`: the tests of backend-cuda that need libtensorflow. Sets it up for the CPU
 * into node_modules/.cache/tenon-cuda (a gigabyte; quick once it is there), then runs vitest's projects `cuda-setup`, the
 * set-up itself, and `cuda`, what computes on it.
 *
 * Where pip doesn't find TensorFlow's wheel, or there is no compiler, it says so and ends with 0. Where both are there, no
 * test may be skipped.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import { root, run, toolEnvironment } from './run.mjs';
import { setup } from './setup.mjs';

/** On an NVIDIA GPU with TENON_CUDA_DEVICE=gpu. */
const device = process.env.TENON_CUDA_DEVICE === 'gpu' ? 'gpu' : 'cpu';
const WHEEL = `${device === 'gpu' ? 'tensorflow' : 'tensorflow-cpu'}~=2.21.0`;
const cache = join(root, 'node_modules/.cache', device === 'gpu' ? 'tenon-cuda-gpu' : 'tenon-cuda');
const env = { ...toolEnvironment(), TENON_CUDA_HOME: cache, TF_CPP_MIN_LOG_LEVEL: '2' };
// Nothing is skipped where everything is there.
env.TENON_REQUIRE_ALL = '1';

process.exitCode = await main();

async function main() {
  const missing = await whatIsMissing();
  if (missing !== undefined) {
    console.log(`skipped: ${missing}`);
    return 0;
  }
  const built = (await setup()) || (await build({ filters: ['@tenon-ml/cli...'], types: false }));
  if (built !== 0) return built;
  const tenon = [join(root, 'apps/cli/dist/main.js'), 'setup', 'cuda', '--device', device];
  const { code } = await run(process.execPath, tenon, { env });
  if (code !== 0) return code;
  return (await run('vitest', ['run', '--project=cuda*', ...process.argv.slice(2)], { env })).code;
}

/** Undefined where everything is there. The set-up isn't asked: its faults are not to look like a machine's. */
async function whatIsMissing() {
  if (process.platform !== 'linux') return 'libtensorflow is set up on Linux alone';
  if (!(await works('c++', '--version'))) return 'there is no C++ compiler (Debian: apt-get install g++)';
  if (existsSync(join(cache, 'current.json'))) return undefined;
  if (!(await works('python3', '-m', 'pip', '--version'))) {
    return 'there is no Python with pip (Debian: apt-get install python3-pip)';
  }
  const target = mkdtempSync(join(tmpdir(), 'tenon-cuda-'));
  try {
    const install = ['-m', 'pip', 'install', '--dry-run', '--no-deps', '--target', target, WHEEL];
    if (await works('python3', ...install)) return undefined;
    return `pip finds no wheel of ${WHEEL} (python3 -m pip download --no-deps '${WHEEL}' says why)`;
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}

async function works(command, ...args) {
  try {
    const quick = { ...env, PIP_RETRIES: '0', PIP_DISABLE_PIP_VERSION_CHECK: '1' };
    return (await run(command, args, { env: quick, output: 'collect' })).code === 0;
  } catch {
    return false;
  }
}
