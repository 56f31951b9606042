/**
 * Where `tenon setup cuda` puts what it makes, and how it is found again. Nothing of it lies in a `node_modules`, so that
 * a reinstall leaves it alone.
 *
 *     current.json                        which build is used: written last
 *     builds/KEY/                         a folder like the package tfjs-node-gpu, with the binding built, and build.json
 *     tensorflow/FLAVOUR-VERSION/         TensorFlow's libraries and headers
 *     work-PID-…/                         what an unfinished set-up leaves behind; the next one removes it
 */
import { nodeModule } from './host.js';

/** What kind of TensorFlow a binding was built against. */
export type Flavour = 'cpu' | 'gpu';

/** `build.json`: what a build was made of. */
export interface BuildRecord {
  readonly format: 1;
  readonly flavour: Flavour;
  /** Of TensorFlow. */
  readonly tensorflow: string;
  /** Of the package whose sources were built. */
  readonly binding: string;
  readonly platform: string;
  readonly architecture: string;
  /** The folder of TensorFlow's libraries. */
  readonly libraries: string;
  /** The compiler's first line about itself. */
  readonly compiler: string;
  /** When, as ISO 8601. */
  readonly built: string;
}

/** `current.json`. */
export interface CurrentRecord {
  readonly format: 1;
  /** The name of a folder in `builds`. */
  readonly build: string;
}

/** Where the binding lies in a folder like the package tfjs-node-gpu. */
export const BINDING = 'lib/napi-v8/tfjs_binding.node';

/** The package whose binding and kernels are used, and its version: another one may have other sources. */
export const PACKAGE = '@tensorflow/tfjs-node-gpu';
export const PACKAGE_VERSION = '4.22.0';

/**
 * The folder of everything that set-up makes: TENON_CUDA_HOME, or `tenon/cuda` in the user's folder for caches
 * (XDG_CACHE_HOME, ~/.cache; ~/Library/Caches on macOS). Undefined outside of Node.
 */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const path = nodeModule?.('node:path');
  const os = nodeModule?.('node:os');
  if (!path || !os) return undefined;
  if (environment.TENON_CUDA_HOME) return path.resolve(environment.TENON_CUDA_HOME);
  const caches =
    environment.XDG_CACHE_HOME ||
    (process.platform === 'darwin'
      ? path.join(os.homedir(), 'Library/Caches')
      : path.join(os.homedir(), '.cache'));
  return path.join(caches, 'tenon/cuda');
}
