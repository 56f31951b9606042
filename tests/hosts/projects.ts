import { join } from 'node:path';
import { playwright } from '@vitest/browser-playwright';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import { ForksPoolWorker, type PoolOptions } from 'vitest/node';
import { CHROMIUM, chromiumArguments, chromiumPath } from './chromium_path.js';

/**
 * The tests of the engine that run in every host. Left out, as they drive Node and Chromium themselves, is what
 * `NODE_ONLY` names.
 */
const EVERYWHERE = ['backends/**/*.test.ts'];
const NODE_ONLY = ['backends/tfjs_suite.test.ts', 'backends/same_bits.test.ts'];

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

/** Projects that repeat the engine's tests on Node 24 and in headless Chromium; `tests` is this package's folder. */
export function hostProjects(tests: string): TestProjectInlineConfiguration[] {
  const common = {
    root: tests,
    include: EVERYWHERE,
    exclude: ['**/node_modules/**', ...NODE_ONLY],
    setupFiles: [join(tests, 'hosts/host_setup.ts')],
    // They share the machine with two others of their kind.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  };
  return [
    {
      extends: true,
      test: {
        ...common,
        name: 'node24',
        provide: { missing: '' },
        globalSetup: [join(tests, 'hosts/node24_setup.ts')],
        pool: { name: 'node24', createPoolWorker: (options) => new Node24Worker(options) },
      },
    },
    {
      extends: true,
      resolve: { alias: { 'node:fs': join(tests, 'hosts/no_files.ts') } },
      optimizeDeps: {
        // Found in the middle of a run, they would reload the page.
        include: ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-cpu', 'fast-check'],
      },
      test: {
        ...common,
        name: 'chromium',
        provide: { missing: chromiumPath === undefined ? CHROMIUM : '' },
        browser: {
          enabled: chromiumPath !== undefined,
          headless: true,
          screenshotFailures: false,
          provider: playwright({
            launchOptions: { executablePath: chromiumPath, args: [...chromiumArguments] },
          }),
          instances: [{ browser: 'chromium' }],
        },
      },
    },
  ];
}
