/** The suite that tfjs-core publishes with itself, as one script for Node or for a page. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const tests = resolve(import.meta.dirname, '..');
const dist = '@tensorflow/tfjs-core/dist';

// Bias and prelu in NCHW, which tfjs leaves out for its cpu backend too; and a spec of browsers' storage that has
// nothing to do with backends and takes half a minute.
const LEFT_OUT = /^fused conv2d.*(basic|im2row) in NCHW with|^LocalStorage.*Data size too large/;

// init() registers the backend; the suite starts a new instance of it for each of its parts. What is freed is filled
// with NaN, so that a kernel that reads it fails.
const setup = (backend) => `
import '${dist}/public/chained_ops/register_all_chained_ops';
import { wasm } from '@tenon-ml/backend-wasm';
import { setTestEnvs, setupTestFilters } from '${dist}/jasmine_util';
export const started = wasm({ poison: true }).init();
setTestEnvs([{ name: '${backend}', backendName: '${backend}', isDataSync: true }]);
setupTestFilters([], (name) => !${LEFT_OUT}.test(name));
`;
const suite = `
import { started } from 'setup';
import '${dist}/tests';

export async function run() {
  await started;
  const env = jasmine.getEnv();
  env.configure({ random: false });
  const counts = { passed: 0, failed: 0, pending: 0, excluded: 0 };
  const failures = [];
  await new Promise((jasmineDone) => {
    env.addReporter({
      specDone({ status, fullName, failedExpectations }) {
        counts[status]++;
        if (status !== 'failed') return;
        failures.push([fullName, ...failedExpectations.map(({ message }) => message.slice(0, 500))].join('\\n  '));
      },
      jasmineDone,
    });
    env.execute();
  });
  return { ...counts, failures };
}
`;

/** tfjs's specs ask for a canvas's context by the backend's name, but of 'cpu', which draws in '2d'. So does ours. */
function drawIn2d(source) {
  const text = source.replace("env.name === 'cpu'", "!env.name.startsWith('web')");
  if (text === source) throw new Error('The specs of tfjs-core that draw have changed.');
  return text;
}

/**
 * The text of a script whose \`run()\` runs the suite on a backend, where Jasmine's globals are there already: a module
 * of CommonJS, or for a page a global \`suite\`. It holds one copy of tfjs-core, the backend's and the tests'.
 */
export async function bundleSuite(platform, backend = 'tenon-wasm') {
  const modules = { setup: setup(backend), suite };
  const { outputFiles } = await build({
    entryPoints: ['suite'],
    bundle: true,
    write: false,
    ...(platform === 'node' ? { format: 'cjs' } : { format: 'iife', globalName: 'suite' }),
    platform,
    target: platform === 'node' ? 'node20' : 'es2022',
    mainFields: ['module', 'main'],
    conditions: ['@tenon-ml/source', 'module'],
    // The test files are not among those that tfjs-core says have side effects.
    ignoreAnnotations: true,
    // What tfjs-core requires where it finds itself in Node.
    external: ['node-fetch', 'util'],
    plugins: [
      {
        name: 'virtual',
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^(setup|suite)$/ }, ({ path }) => ({ path, namespace: 'virtual' }));
          onLoad({ filter: /ops\/draw_test\.js$/ }, ({ path }) => ({
            contents: drawIn2d(readFileSync(path, 'utf8')),
          }));
          onLoad({ filter: /.*/, namespace: 'virtual' }, ({ path }) => ({
            contents: modules[path],
            resolveDir: tests,
          }));
        },
      },
    ],
  });
  return outputFiles[0].text;
}
