/** Fetches wheels with pip. */
import { devNull } from 'node:os';
import { TenonError } from '@tenon-ml/core/errors';
import { lastWords, type Python } from './find_tools.js';
import { diskFull } from './machine.js';
import { type Ran, type RunTool, saysDiskFull } from './tool.js';
import { platformTags, type WheelTarget } from './wheels.js';
import type { Work } from './work.js';

export interface Pip {
  readonly python: Python;
  readonly target: WheelTarget;
  /** A folder of wheels rather than an index. */
  readonly wheelDir: string | undefined;
  readonly run: RunTool;
  readonly work: Work;
}

/** The Pythons that TensorFlow makes wheels for: any of them holds the same libraries. */
const OTHER_PYTHONS = ['3.12', '3.13', '3.11', '3.10'];

/**
 * Downloads wheels, without what they depend on, into a folder; nothing is installed, and nothing is built. Where there are
 * none for this Python, those for another one will do: their libraries know nothing of Python.
 *
 * Throws `BACKEND_UNAVAILABLE` where there is no such wheel, `DOWNLOAD_FAILED`, `STORAGE_FULL`.
 */
export async function downloadWheels(
  requirements: readonly string[],
  folder: string,
  pip: Pip,
): Promise<void> {
  const first = await download(requirements, folder, pip, []);
  if (first.code === 0) return;
  // Of a folder, set-up has chosen TensorFlow's wheel itself; NVIDIA's are for any Python.
  if (pip.wheelDir === undefined && foundNone(first) && hasOtherPlaces(first)) {
    for (const version of OTHER_PYTHONS) {
      const platforms = platformTags(pip.target).flatMap((tag) => ['--platform', tag]);
      const flags = ['--python-version', version, '--implementation', 'cp', ...platforms];
      const ran = await download(requirements, folder, pip, flags);
      if (ran.code === 0) return;
      if (!foundNone(ran)) throw pipError(ran, requirements, pip);
    }
  }
  throw pipError(first, requirements, pip);
}

function download(
  requirements: readonly string[],
  folder: string,
  { python, wheelDir, run }: Pip,
  flags: readonly string[],
): Promise<Ran> {
  const from = wheelDir === undefined ? [] : ['--no-index', '--find-links', wheelDir];
  const command = [python.command, '-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--no-input'];
  return run([...command, ...from, ...flags, '--dest', folder, ...requirements], {
    env: wheelDir === undefined ? indexEnvironment(flags.length > 0) : folderEnvironment(),
  });
}

/** pip as the user has set it up, but for what would keep it from downloading, or have it wait too long. */
function indexEnvironment(again: boolean): NodeJS.ProcessEnv {
  const quick = again ? '0' : '2';
  return {
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_PROGRESS_BAR: 'off',
    PIP_REQUIRE_VIRTUALENV: '0',
    PIP_RETRIES: process.env.PIP_RETRIES ?? quick,
  };
}

/** pip as nobody has set it up: it looks into the folder, and nowhere else. */
function folderEnvironment(): NodeJS.ProcessEnv {
  const set = Object.keys(process.env).filter((name) => name.startsWith('PIP_'));
  return {
    ...Object.fromEntries(set.map((name) => [name, undefined])),
    PIP_CONFIG_FILE: devNull,
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
  };
}

function pipError(ran: Ran, requirements: readonly string[], { python, target, wheelDir, work }: Pip): Error {
  if (saysDiskFull(ran.output)) return diskFull(work.cache);
  const wanted = requirements.length === 1 ? requirements[0] : `${requirements.length} packages`;
  const place = wheelDir ?? "pip's index";
  const words = lastWords(errorsOf(ran.output), work);
  const offline =
    'On a machine without internet: fetch the wheels elsewhere with `pip download`, and name their folder with --wheel-dir.';
  if (foundNone(ran) && !isUnreachable(ran)) {
    const missing = /No matching distribution found for (\S+)/.exec(ran.output)?.[1] ?? wanted;
    return new TenonError({
      code: 'BACKEND_UNAVAILABLE',
      where: wheelDir === undefined ? undefined : '--wheel-dir',
      expected: `a wheel of ${missing} for Linux ${target.architecture} in ${place}`,
      got: wheelDir === undefined ? `none for Python ${python.version}, nor for others` : 'none',
      hint: `${wheelDir === undefined ? 'Name a version that there is with --tensorflow.' : 'Fetch it where there is internet, with `pip download`.'}${words}`,
    });
  }
  return new TenonError({
    code: 'DOWNLOAD_FAILED',
    message: isUnreachable(ran)
      ? `pip could not reach its index to fetch ${wanted}`
      : `pip could not fetch ${wanted}`,
    hint: `${offline}${words}`,
  });
}

/** pip's errors without its remarks on trying again, if it has written any. */
function errorsOf(output: string): string {
  const errors = output.split('\n').filter((line) => /^ERROR:|^error:|Error:/.test(line));
  return errors.length > 0 ? errors.join('\n') : output;
}

function foundNone({ output }: Ran): boolean {
  return /No matching distribution found|Could not find a version that satisfies/.test(output);
}

/** Whether pip did not get to its index. */
function isUnreachable({ output }: Ran): boolean {
  return /Retrying \(|connection (broken|error)|Max retries/i.test(output);
}

/** Whether asking for the wheels of another Python may help: where the only index isn't reached, it does not. */
function hasOtherPlaces(ran: Ran): boolean {
  return !isUnreachable(ran) || /^Looking in (links: |indexes: .*,)/m.test(ran.output);
}
