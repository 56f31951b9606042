/**
 * `npm run test:tfjs-suite [-- BACKEND]` in tests/: the suite that tfjs-core publishes with itself, on our backend
 * ('cpu': on tfjs's own, to see what is ours). It is bundled with one copy of tfjs-core, ours and the tests', and run
 * by the Jasmine that it was written for.
 */
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const tests = resolve(import.meta.dirname, '..');
const backend = process.argv[2] ?? 'tenon-wasm';
const dist = '@tensorflow/tfjs-core/dist';

// init() registers the backend; the suite starts a new instance of it for each of its parts. What is freed is filled
// with NaN, so that a kernel that reads it fails.
const setup = `
import '${dist}/public/chained_ops/register_all_chained_ops';
import { wasm } from '@tenon-ml/backend-wasm';
import { setTestEnvs, setupTestFilters } from '${dist}/jasmine_util';
export const started = wasm({ poison: true }).init();
setTestEnvs([{ name: '${backend}', backendName: '${backend}', isDataSync: true }]);
// tfjs leaves these out for its cpu backend too: bias and prelu in NCHW.
setupTestFilters([], (name) => !/^fused conv2d.*(basic|im2row) in NCHW with/.test(name));
`;
const modules = { setup, suite: `export { started } from 'setup'; import '${dist}/tests';` };

/** Serves the two modules above. */
const virtual = {
  name: 'virtual',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(setup|suite)$/ }, ({ path }) => ({ path, namespace: 'virtual' }));
    onLoad({ filter: /.*/, namespace: 'virtual' }, ({ path }) => ({
      contents: modules[path],
      resolveDir: tests,
    }));
  },
};

const outfile = join(tests, 'node_modules/.cache/tfjs_suite.cjs');
mkdirSync(join(tests, 'node_modules/.cache'), { recursive: true });
await build({
  entryPoints: ['suite'],
  outfile,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'],
  conditions: ['@tenon-ml/source', 'module'],
  // The test files are not among those that tfjs-core says have side effects.
  ignoreAnnotations: true,
  external: ['jasmine-core', 'jasmine-core/*', 'node-fetch'],
  plugins: [virtual],
});

const require = createRequire(import.meta.url);
const jasmineCore = require('jasmine-core');
const env = jasmineCore.boot(jasmineCore).getEnv();
env.configure({ random: false });
const counts = { passed: 0, failed: 0, pending: 0, excluded: 0 };
env.addReporter({
  specDone({ status, fullName, failedExpectations }) {
    counts[status]++;
    if (status !== 'failed') return;
    console.error(`\n${fullName}`);
    for (const { message } of failedExpectations) console.error(`  ${message.slice(0, 500)}`);
  },
  jasmineDone() {
    const { passed, failed, pending } = counts;
    console.log(`tfjs-core's suite on ${backend}: ${passed} passed, ${failed} failed, ${pending} pending`);
    // An empty suite doesn't pass.
    process.exitCode = failed === 0 && passed > 4000 ? 0 : 1;
  },
});
await require(outfile).started;
env.execute();
