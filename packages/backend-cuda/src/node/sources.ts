/** The package tfjs-node-gpu, whose binding is built: the user's own copy, a given file, or what npm fetches. */
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TenonError } from '@tenon-ml/core/errors';
import { PACKAGE, PACKAGE_VERSION } from '../cache.js';
import { installedPackage } from '../locate.js';
import { findNpm, lastWords } from './find_tools.js';
import { diskFull } from './machine.js';
import { type RunTool, saysDiskFull } from './tool.js';
import { namesIn, readJson, type Work } from './work.js';

const NEEDED = ['binding/tfjs_backend.cc', 'binding/tfjs_binding.cc', 'dist/index.js'];

/** The package where this one finds it, if all of it is there; its own install script isn't needed. */
export function installedSource(): string | undefined {
  const folder = installedPackage();
  return folder !== undefined && faultOf(folder) === undefined ? folder : undefined;
}

/** Throws `INVALID_ARGUMENT` where the given file is none. */
export function checkPackageFile(file: string): string {
  const path = resolve(file);
  if (existsSync(path)) return path;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: '--package',
    expected: `the package ${PACKAGE} as a file, made by npm pack`,
    got: `${path}, which is not there`,
  });
}

/** Fetches the package into the work folder, without running any of its scripts, and returns its folder. */
export async function fetchPackage(work: Work, run: RunTool): Promise<string> {
  const npm = await findNpm();
  const downloads = join(work.folder, 'npm');
  mkdirSync(downloads);
  const ran = await run(
    [
      ...npm,
      'pack',
      `${PACKAGE}@${PACKAGE_VERSION}`,
      '--ignore-scripts',
      '--prefer-offline',
      '--pack-destination',
      downloads,
    ],
    {
      // A project may have a registry of its own.
      cwd: process.cwd(),
      env: {
        // What npm waits by itself is more than a minute.
        npm_config_fetch_retries: '1',
        npm_config_fetch_retry_mintimeout: '1000',
        npm_config_update_notifier: 'false',
      },
    },
  );
  const file = namesIn(downloads).find((name) => name.endsWith('.tgz'));
  if (ran.code === 0 && file !== undefined) return unpackPackage(join(downloads, file), work, run);
  if (saysDiskFull(ran.output)) throw diskFull(work.cache);
  const errors = ran.output
    .split('\n')
    .filter((line) => /^npm error (code|errno|network|4\d\d|request)/i.test(line));
  throw new TenonError({
    code: 'DOWNLOAD_FAILED',
    message: `npm could not fetch ${PACKAGE}@${PACKAGE_VERSION}, whose binding is built`,
    hint: `Where npm can't reach a registry: bring the package as a file, made by \`npm pack ${PACKAGE}@${PACKAGE_VERSION}\`, and name it with --package; or install it beside @tenon-ml/backend-cuda with --ignore-scripts.${lastWords(errors.join('\n') || ran.output, work)}`,
  });
}

/** Unpacks the package's file into the work folder. Throws `DATA_INVALID`, `INVALID_ARGUMENT` for another package. */
export async function unpackPackage(file: string, work: Work, run: RunTool): Promise<string> {
  const folder = join(work.folder, 'package');
  mkdirSync(folder);
  const ran = await run(['tar', '-xzf', file, '-C', folder, '--strip-components=1', '--no-same-owner']);
  if (ran.failure) {
    throw new TenonError({
      code: 'BACKEND_UNAVAILABLE',
      expected: 'the program tar',
      got: 'none on the PATH',
      hint: 'Install it (Debian and Ubuntu: apt-get install tar gzip).',
    });
  }
  if (saysDiskFull(ran.output)) throw diskFull(work.cache);
  if (ran.code !== 0) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: file,
      expected: 'a package of npm (.tgz)',
      got: "something that tar can't unpack",
      hint: lastWords(ran.output, work).trim(),
    });
  }
  const fault = faultOf(folder);
  if (fault === undefined) return folder;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: file,
    expected: `the package ${PACKAGE} ${PACKAGE_VERSION}`,
    got: fault,
    hint: `Make it with: npm pack ${PACKAGE}@${PACKAGE_VERSION}`,
  });
}

/** What a folder is, if not the package. */
function faultOf(folder: string): string | undefined {
  const manifest = readJson(join(folder, 'package.json'));
  if (!manifest) return 'something without a package.json';
  if (manifest.name !== PACKAGE || manifest.version !== PACKAGE_VERSION) {
    return `${manifest.name} ${manifest.version}`;
  }
  const missing = NEEDED.find((name) => !existsSync(join(folder, name)));
  return missing === undefined ? undefined : `one without ${missing}`;
}
