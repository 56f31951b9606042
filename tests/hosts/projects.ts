import { join } from 'node:path';
import { playwright } from '@vitest/browser-playwright';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import { ForksPoolWorker, type PoolOptions } from 'vitest/node';
import { CHROMIUM, chromiumArguments, chromiumPath, gpuArguments } from './chromium_path.js';

/**
 * The tests of backends, which run in every host. Left out, as they drive Node and Chromium themselves, is what
 * `NODE_ONLY` names.
 */
const EVERYWHERE = ['backends/**/*.test.ts'];
const NODE_ONLY = ['backends/tfjs_suite.test.ts', 'backends/same_bits.test.ts'];
/** About the wasm engine alone: not for another backend. */
const WASM_ONLY = ['backends/wasm/**'];
/** About the GPU alone; the project `tests` leaves them out too. */
const WEBGPU_ONLY = ['backends/webgpu/**'];
/** Properties that pages have no part in, which take as long as much else: once, in Node. */
const LONG_OF_WEBGPU = ['arenas', 'donated', 'subgroups'].map((name) => `backends/webgpu/${name}.test.ts`);
/** What needs float16, which SwiftShader lacks, or larger subgroups than its own: the project `webgpu-f16`. */
const WEBGPU_F16 = [
  'webgpu_f16/**/*.test.ts',
  'backends/webgpu/subgroups.test.ts',
  'backends/kernels/attention.test.ts',
];
/** What shapes do to kernels, which a page has no part in. */
const NOT_IN_PAGES = ['backends/webgpu/joining.test.ts', 'backends/webgpu/subgroups_absent.test.ts'];
/** About TensorFlow alone: only the project `cuda` runs them. */
const CUDA_ONLY = ['cuda/**/*.test.ts'];
/** About what builds the binding to it: the project `cuda-setup`. */
const CUDA_SETUP = ['cuda/setup*.test.ts'];
/** About what pages alone have: only Chromium runs them, and the project `tests` leaves them out. */
const PAGES_ONLY = ['browser/**/*.test.ts'];

/**
 * Cases of a property on a GPU. Each new shape may be a shader to compile, which takes SwiftShader some 20 ms and lavapipe
 * 100 and more. What the shapes do to a kernel is looked for in Node; in a page, what the page does. With TENON_SLOW all.
 */
const cases = (few: number): number => (process.env.TENON_SLOW ? ALL_CASES : few);
/** fast-check's own. */
const ALL_CASES = 100;

const MISSING_CHROMIUM = chromiumPath === undefined ? CHROMIUM : '';
const provided = { requireAll: Boolean(process.env.TENON_REQUIRE_ALL) };

/** A process of Node 24 in the place of one of this Node. */
class Node24Worker extends ForksPoolWorker {
  override readonly name = 'node24';
  readonly #node: string;

  constructor(options: PoolOptions) {
    super(options);
    this.#node = options.project.getProvidedContext().node24;
  }

  override start(): Promise<void> {
    const { execPath } = process;
    // What `fork` starts; it does so before the call returns. Where there is none, the tests are skipped here.
    process.execPath = this.#node || execPath;
    try {
      return super.start();
    } finally {
      process.execPath = execPath;
    }
  }
}

/**
 * Projects that repeat the tests of backends elsewhere: for wasm on Node 24 and in headless Chromium; for webgpu in
 * Node and in Chromium, and apart what not every GPU can; for cuda on what `tenon setup cuda` has built (`npm run
 * test:cuda`). `tests` is this package's folder.
 */
export function hostProjects(tests: string): TestProjectInlineConfiguration[] {
  // Only where they are asked for by name. vitest takes what any of several `--project=!NAME` lets through, so they could not
  // be left out beside others.
  const cuda = process.argv.some((argument) => /^(--project=)?cuda/.test(argument));
  return [...wasmProjects(tests), ...webgpuProjects(tests), ...(cuda ? cudaProjects(tests) : [])];
}

function wasmProjects(tests: string): TestProjectInlineConfiguration[] {
  const common = {
    ...shared(tests),
    exclude: ['**/node_modules/**', ...NODE_ONLY, ...WEBGPU_ONLY],
    setupFiles: [join(tests, 'hosts/host_setup.ts')],
  };
  return [
    {
      extends: true,
      test: {
        ...common,
        name: 'node24',
        provide: { ...provided, missing: '' },
        globalSetup: [join(tests, 'hosts/node24_setup.ts')],
        pool: { name: 'node24', createPoolWorker: (options) => new Node24Worker(options) },
      },
    },
    {
      ...inPages(tests, []),
      test: {
        ...common,
        include: [...EVERYWHERE, ...PAGES_ONLY],
        name: 'chromium',
        provide: { ...provided, missing: MISSING_CHROMIUM },
        browser: headless([]),
      },
    },
  ];
}

function webgpuProjects(tests: string): TestProjectInlineConfiguration[] {
  const common = {
    ...shared(tests),
    exclude: ['**/node_modules/**', ...NODE_ONLY, ...WASM_ONLY],
    setupFiles: [join(tests, 'hosts/gpu_setup.ts')],
  };
  const webgpu = { backend: 'webgpu', vulkan: {}, numRuns: cases(25) } as const;
  return [
    {
      extends: true,
      test: {
        ...common,
        name: 'webgpu',
        provide: { ...provided, ...webgpu, missing: '' },
        globalSetup: [join(tests, 'hosts/webgpu_setup.ts')],
      },
    },
    {
      extends: true,
      test: {
        ...shared(tests),
        include: WEBGPU_F16,
        setupFiles: common.setupFiles,
        name: 'webgpu-f16',
        // Few machines have such an adapter: where there is none, these are skipped, with a word, in CI too.
        provide: { ...webgpu, numRuns: cases(6), requireAll: false, missing: '' },
        globalSetup: [join(tests, 'hosts/webgpu_f16_setup.ts')],
      },
    },
    {
      ...inPages(tests, ['@tensorflow/tfjs-backend-webgpu']),
      test: {
        ...common,
        exclude: [...common.exclude, ...NOT_IN_PAGES, ...LONG_OF_WEBGPU],
        name: 'chromium-webgpu',
        provide: { ...provided, ...webgpu, numRuns: cases(8), missing: MISSING_CHROMIUM },
        browser: headless(gpuArguments),
      },
    },
  ];
}

/**
 * What TensorFlow computes: on the processor, or with TENON_CUDA_DEVICE=gpu on an NVIDIA GPU. And apart, how it is set up.
 */
function cudaProjects(tests: string): TestProjectInlineConfiguration[] {
  return [
    {
      extends: true,
      test: {
        ...shared(tests),
        name: 'cuda',
        include: [...EVERYWHERE, ...CUDA_ONLY],
        exclude: ['**/node_modules/**', ...NODE_ONLY, ...WASM_ONLY, ...WEBGPU_ONLY, ...CUDA_SETUP],
        setupFiles: [join(tests, 'hosts/gpu_setup.ts')],
        provide: { ...provided, backend: 'cuda', vulkan: {}, numRuns: ALL_CASES, missing: '' },
      },
    },
    {
      extends: true,
      test: {
        name: 'cuda-setup',
        root: tests,
        include: CUDA_SETUP,
        globalSetup: [join(tests, 'cuda/global_setup.ts')],
        // Each has a compiler or pip at work.
        maxWorkers: 2,
        // vitest wants projects of other numbers of workers in a group of their own: this one comes last.
        sequence: { groupOrder: 1 },
      },
    },
  ];
}

function shared(tests: string) {
  return {
    root: tests,
    include: EVERYWHERE,
    // They share the machine with others of their kind.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  };
}

/** What tests in pages are resolved by; `dependencies` are those that they have besides the usual ones. */
function inPages(tests: string, dependencies: readonly string[]) {
  return {
    extends: true as const,
    resolve: { alias: { 'node:fs': join(tests, 'hosts/no_files.ts') } },
    optimizeDeps: {
      // Found in the middle of a run, they would reload the page.
      include: ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-cpu', 'fast-check', ...dependencies],
    },
  };
}

function headless(args: readonly string[]) {
  return {
    enabled: chromiumPath !== undefined,
    headless: true,
    screenshotFailures: false,
    provider: playwright({
      launchOptions: { executablePath: chromiumPath, args: [...chromiumArguments, ...args] },
    }),
    instances: [{ browser: 'chromium' as const }],
  };
}
