/** The suite that tfjs-core publishes with itself, as one script for Node or for a page. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { build } from 'esbuild';

const tests = resolve(import.meta.dirname, '..');
const dist = '@tensorflow/tfjs-core/dist';

// A spec of browsers' storage that has nothing to do with backends and takes half a minute.
const BIG_STORAGE = /^LocalStorage.*Data size too large/;
// Bias and prelu in NCHW, which tfjs leaves out for its cpu backend too.
const LEFT_OUT = [/^fused conv2d.*(basic|im2row) in NCHW with/, BIG_STORAGE];

/** What a GPU can't do in Node, or tfjs's kernels for it can't at all. */
const LEFT_OUT_ON_GPU = [
  // Kernels that tfjs has for processors alone.
  /^(bitwiseAnd|ragged\w+|sparseFillEmptyRows|sparseReshape|staticRegexReplace|stringSplit|stringToHashBucketFast|unique) /,
  /^nonMaxSuppression .*NonMaxSuppressionPadded/,
  // Indices that are wrong: they are on the GPU, where nothing throws.
  /^gather .*throws when index is out of bound/,
  /^sparseSegment(Mean .*throw error|Sum .*invalid)/,
  // Reads values synchronously, which a page can.
  /^nonMaxSuppression .*not explicitly initialized on the CPU/,
  // tfjs's FromPixels knows real canvases alone, and its Bincount doesn't compile for tensors of rank 3.
  /^fromPixels, mock canvas .*accepts a canvas-like element/,
  /^threshold .*method otsu/,
  // Nothing was computed whose time could be told.
  /^time cpu .*simple upload/,
  // Of numbers beyond 8192, the driver's sine and cosine.
  /^tan .*numbers exceed float32 precision/,
];

/** What TensorFlow does otherwise, and is not made to do. */
const LEFT_OUT_ON_TENSORFLOW = [
  BIG_STORAGE,
  // Says in words of its own what is wrong.
  /^sparseSegment(Mean .*throw error|Sum .*invalid)/,
  // Computes what tfjs refuses.
  /^einsum .*duplicate axes not implemented yet/,
  // Hands NaN on; tells one NaN from another.
  /^maxPoolWithArgmax .*ignores NaNs/,
  /^unique .*NaN and Infinity/,
  // A last bit of 30144.17, where the spec allows a thousandth.
  /^tan .*numbers exceed float32 precision/,
];

const before = `
import '${dist}/public/chained_ops/register_all_chained_ops';
import { setTestEnvs, setupTestFilters } from '${dist}/jasmine_util';
`;

// init() registers the backend; the suite starts a new instance of it for each of its parts. What is freed is filled
// with NaN, so that a kernel that reads it fails.
const wasmSetup = (backend) => `${before}
import { wasm } from '@tenon-ml/backend-wasm';
export const started = wasm({ poison: true }).init();
setTestEnvs([{ name: '${backend}', backendName: '${backend}', isDataSync: true }]);
setupTestFilters([], (name) => ![${LEFT_OUT}].some((pattern) => pattern.test(name)));
`;

// The suite disposes of a backend after each of its parts; a GPU is kept, as are the shaders that it has compiled.
const webgpuSetup = `${before}
import { findBackend } from '@tensorflow/tfjs-core';
import { webgpu } from '@tenon-ml/backend-webgpu';
export const started = webgpu().init().then(() => {
  findBackend('tenon-webgpu').dispose = () => {};
});
setTestEnvs([{ name: 'webgpu', backendName: 'tenon-webgpu', isDataSync: false }]);
setupTestFilters([], (name) => ![${[...LEFT_OUT, ...LEFT_OUT_ON_GPU]}].some((pattern) => pattern.test(name)));
`;

// On the processor, or as TENON_CUDA_DEVICE says.
const cudaSetup = `${before}
import { cuda } from '@tenon-ml/backend-cuda';
export const started = cuda({ device: process.env.TENON_CUDA_DEVICE === 'gpu' ? 'gpu' : 'cpu' }).init();
setTestEnvs([{ name: 'cuda', backendName: 'tenon-cuda', isDataSync: true }]);
setupTestFilters([], (name) => ![${LEFT_OUT_ON_TENSORFLOW}].some((pattern) => pattern.test(name)));
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
  const setups = { webgpu: webgpuSetup, cuda: cudaSetup };
  const modules = { setup: setups[backend] ?? wasmSetup(backend), suite };
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
