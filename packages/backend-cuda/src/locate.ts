import { TenonError } from '@tenon-ml/core';
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
    if (fs.existsSync(path.join(folder, BINDING))) return withRecord(folder);
    throw unavailable(
      `there is no ${BINDING} in ${folder}`,
      'Give a folder that `tenon setup cuda` made, or none.',
    );
  }
  const cache = cacheFolder();
  const current = cache && readJson<CurrentRecord>(path.join(cache, 'current.json'));
  if (cache && current) {
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
  const driver = fs.existsSync('/proc/driver/nvidia/version');
  throw unavailable(
    has,
    driver
      ? 'Run `tenon setup cuda` once, or use wasm.'
      : 'Use wasm; or run `tenon setup cuda` once, for TensorFlow on the CPU: there is no NVIDIA driver here.',
  );
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
