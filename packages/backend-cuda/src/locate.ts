import { TenonError } from '@tenon-ml/core/errors';
import {
  BINDING,
  type BuildRecord,
  type CurrentRecord,
  cacheFolder,
  PACKAGE,
  PACKAGE_VERSION,
} from './cache.js';
import { nodeModule } from './host.js';

/** A folder whose binding can be loaded. */
export interface Located {
  readonly folder: string;
  /** What set-up wrote down; absent for a binding that somebody else has built. */
  readonly build?: BuildRecord;
}

/**
 * Finds a binding: in `folder` if it is given; otherwise what `tenon setup cuda` has built, or the package tfjs-node-gpu
 * where its own install script has. Throws `BACKEND_UNAVAILABLE`, saying what is missing and what to do.
 */
export function locate(folder?: string): Located {
  const fs = nodeModule?.('node:fs');
  const path = nodeModule?.('node:path');
  if (!fs || !path) {
    throw unavailable('it runs in Node alone', 'Use webgpu or wasm here.');
  }
  if (folder !== undefined) {
    // Absolute, as what is loaded from it has to be.
    const at = path.resolve(folder);
    if (fs.existsSync(path.join(at, BINDING))) return withRecord(at);
    throw unavailable(
      `there is no ${BINDING} in ${at}`,
      'Give a folder that `tenon setup cuda` made, or none.',
    );
  }
  const cache = cacheFolder();
  const current = cache ? readJson<Partial<CurrentRecord>>(path.join(cache, 'current.json')) : undefined;
  if (cache && current?.format === 1 && typeof current.build === 'string') {
    const built = path.join(cache, 'builds', current.build);
    if (fs.existsSync(path.join(built, BINDING))) return checked(withRecord(built));
    throw unavailable(
      `the binding that was built is gone from ${built}`,
      'Build it again: tenon setup cuda.',
    );
  }
  const installed = installedPackage();
  if (installed && fs.existsSync(path.join(installed, BINDING))) return { folder: installed };
  const has = installed ? `${PACKAGE} is installed, but its binding is not built` : 'it has not been set up';
  throw unavailable(
    has,
    adviceFor(
      process.platform,
      DRIVERS.some((file) => fs.existsSync(file)),
    ),
  );
}

/** What shows that there is an NVIDIA driver: on Linux, and in WSL2. */
const DRIVERS = ['/proc/driver/nvidia/version', '/usr/lib/wsl/lib/libcuda.so.1'];

function adviceFor(platform: string, hasDriver: boolean): string {
  if (platform !== 'linux') return 'Use wasm or webgpu: cuda runs on Linux (on Windows, in WSL2).';
  if (hasDriver) return 'Run `tenon setup cuda` once, or use wasm.';
  return 'Use wasm; or run `tenon setup cuda` once, for TensorFlow on the CPU: there is no NVIDIA driver here.';
}

/** The folder of the package tfjs-node-gpu, if it is installed where this package finds it. */
export function installedPackage(): string | undefined {
  const module = nodeModule?.('node:module');
  const path = nodeModule?.('node:path');
  if (!module || !path) return undefined;
  try {
    const manifest = module.createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`);
    const { version } = readJson<{ version?: string }>(manifest) ?? {};
    return version === PACKAGE_VERSION ? path.dirname(manifest) : undefined;
  } catch {
    return undefined;
  }
}

function withRecord(folder: string): Located {
  const path = nodeModule?.('node:path');
  const build = path && readJson<BuildRecord>(path.join(folder, 'build.json'));
  return build ? { folder, build } : { folder };
}

/** A cache may lie in a home that several machines share. */
function checked(located: Located): Located {
  const { build } = located;
  if (!build) return located;
  const { platform, arch } = process;
  if (build.platform !== platform || build.architecture !== arch) {
    throw unavailable(
      `the binding was built for ${build.platform} ${build.architecture}, and this is ${platform} ${arch}`,
      'Build it here, into a folder that TENON_CUDA_HOME names: tenon setup cuda.',
    );
  }
  if (!nodeModule?.('node:fs')?.existsSync(build.libraries)) {
    throw unavailable(
      `TensorFlow's libraries are gone from ${build.libraries}`,
      'Run `tenon setup cuda` again.',
    );
  }
  return located;
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(nodeModule?.('node:fs')?.readFileSync(file, 'utf8') ?? '') as T;
  } catch {
    return undefined;
  }
}

export function unavailable(message: string, hint: string, cause?: unknown): TenonError {
  return new TenonError({ code: 'BACKEND_UNAVAILABLE', where: 'cuda', message, hint, cause });
}
