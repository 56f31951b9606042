/** The TensorFlow that a binding is built against: from the cache, from a wheel, or a given one. */
import { existsSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TenonError } from '@tenon-ml/core/errors';
import type { Flavour } from '../cache.js';
import { type Compiler, elfMachine, lastWords } from './find_tools.js';
import { formatBytes } from './machine.js';
import type { Report } from './options.js';
import { downloadWheels, type Pip } from './pip.js';
import type { RunTool } from './tool.js';
import { NO_AVX } from './try_binding.js';
import { unpackWheel } from './unpack_wheel.js';
import { compareVersions, isTooOld, tooOld, type WantedVersion } from './versions.js';
import {
  chooseWheel,
  describeFaults,
  extraRequirements,
  metadataHeader,
  parseWheelName,
  type WheelName,
} from './wheels.js';
import { namesIn, readJson, removeFolder, settle, type Work } from './work.js';

/** Where TensorFlow's libraries and headers are. */
export interface TensorFlow {
  readonly version: string;
  /** The folder of the libraries. */
  readonly libraries: string;
  /** Their names, which a binding is linked to. */
  readonly names: readonly string[];
  readonly include: string;
  /** Whether it is the user's own, and not of the cache. */
  readonly given: boolean;
}

/** TensorFlow as C++ has it, in wheels, and as the C library is published. */
const OF_WHEELS = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
const OF_C = ['libtensorflow.so.2', 'libtensorflow_framework.so.2'];
const HEADER = 'tensorflow/c/eager/c_api.h';
/** Written last, into a folder of the cache that is whole. */
const RECORD = 'tensorflow.json';

/** The newest TensorFlow in the cache that is wanted. */
export function cachedTensorFlow(
  cache: string,
  flavour: Flavour,
  wanted: WantedVersion,
): TensorFlow | undefined {
  const folder = join(cache, 'tensorflow');
  const versions = namesIn(folder)
    .filter((name) => name.startsWith(`${flavour}-`) && isWhole(join(folder, name)))
    .map((name) => name.slice(flavour.length + 1))
    .filter((version) => wanted.accepts(version))
    .sort(compareVersions);
  const version = versions.at(-1);
  return version === undefined ? undefined : ofCache(cache, flavour, version);
}

/** Whether nobody has removed a part of what was fetched. */
function isWhole(folder: string): boolean {
  const parts = [...OF_WHEELS, join('include', HEADER)];
  return (
    readJson(join(folder, RECORD)) !== undefined &&
    parts.every((part) => existsSync(join(folder, 'tensorflow', part)))
  );
}

function ofCache(cache: string, flavour: Flavour, version: string): TensorFlow {
  const libraries = join(cache, 'tensorflow', `${flavour}-${version}`, 'tensorflow');
  return { version, libraries, names: OF_WHEELS, include: join(libraries, 'include'), given: false };
}

/** Which of TensorFlow's packages has a flavour; those of arm64 have no GPU in them under either name. */
export function projectOf(flavour: Flavour, architecture: string): string {
  return flavour === 'gpu' || architecture === 'arm64' ? 'tensorflow' : 'tensorflow-cpu';
}

/**
 * The wheel of a folder that will do. Throws `INVALID_ARGUMENT` where it isn't a folder, `BACKEND_UNAVAILABLE` where there
 * is none, with what is wrong with those that are there.
 */
export function wheelIn(
  folder: string,
  flavour: Flavour,
  wanted: WantedVersion,
  target: Pip['target'],
): WheelName {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: '--wheel-dir',
      expected: 'a folder with wheels in it',
      got: `${folder}, ${existsSync(folder) ? 'a file' : 'which is not there'}`,
    });
  }
  const wheels = readdirSync(folder).flatMap((name) => parseWheelName(name) ?? []);
  const project = projectOf(flavour, target.architecture);
  const wheel = chooseWheel(wheels, project, wanted, target);
  if (wheel) return wheel;
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    where: folder,
    expected: `a wheel of ${project} ${wanted.said} for Linux ${target.architecture}`,
    got: describeFaults(wheels, project, wanted, target),
    hint: `Fetch it where there is internet: ${downloadCommand(project, flavour, wanted)}`,
  });
}

/** Of GPUs, with NVIDIA's packages, and with the rest that Python would need. */
function downloadCommand(project: string, flavour: Flavour, { specifier }: WantedVersion): string {
  return flavour === 'gpu'
    ? `pip download --dest FOLDER '${project}[and-cuda]${specifier}'`
    : `pip download --no-deps --dest FOLDER '${project}${specifier}'`;
}

/** Fetches TensorFlow, and for GPUs NVIDIA's libraries beside it, where its own look for them; leaves them in the cache. */
export async function fetchTensorFlow(
  flavour: Flavour,
  wanted: WantedVersion,
  pip: Pip,
  compiler: Compiler,
  report: Report,
): Promise<TensorFlow> {
  const { work, wheelDir, target, run } = pip;
  const downloads = join(work.folder, 'wheels');
  const folder = join(work.folder, 'tensorflow');
  const unpack = { python: pip.python.command, run, work };
  const project = projectOf(flavour, target.architecture);
  let wheel: string;
  if (wheelDir === undefined) {
    await downloadWheels([`${project}${wanted.specifier}`], downloads, pip);
    wheel = join(downloads, wheelsIn(downloads)[0]);
  } else {
    wheel = join(wheelDir, wheelIn(wheelDir, flavour, wanted, target).file);
  }
  const metadata = await unpackWheel(wheel, folder, 'tensorflow', unpack);
  const version = checkWheel(wheel, folder, metadata, wanted);
  await removeFolder(downloads);
  if (flavour === 'gpu') {
    const requirements = extraRequirements(metadata, 'and-cuda');
    report(`  fetching ${requirements.length} packages of NVIDIA's libraries`);
    if (requirements.length > 0) await downloadWheels(requirements, downloads, pip);
    for (const file of wheelsIn(downloads)) {
      await unpackWheel(join(downloads, file), folder, 'nvidia', unpack);
      await removeFolder(join(downloads, file));
    }
  }
  // What can't be loaded doesn't come into the cache, from where the next set-up would take it.
  const library = join(folder, 'tensorflow');
  await probe({ libraries: library, names: OF_WHEELS, where: wheel }, compiler, work, run);
  writeFileSync(join(folder, RECORD), `${JSON.stringify({ format: 1, flavour, project, version })}\n`);
  await settle(folder, join(work.cache, 'tensorflow', `${flavour}-${version}`), isWhole, work);
  return ofCache(work.cache, flavour, version);
}

function wheelsIn(folder: string): string[] {
  return namesIn(folder).filter((name) => name.endsWith('.whl'));
}

/** The version of an unpacked wheel, which must hold what its name says. */
function checkWheel(wheel: string, folder: string, metadata: string, wanted: WantedVersion): string {
  const missing = [...OF_WHEELS, `include/${HEADER}`].filter(
    (name) => !existsSync(join(folder, 'tensorflow', name)),
  );
  if (missing.length > 0) {
    throw new TenonError({
      code: 'BACKEND_UNAVAILABLE',
      where: wheel,
      expected: `TensorFlow's libraries and headers in this wheel`,
      got: `one without tensorflow/${missing[0]}`,
      hint: 'Fetch it again with `pip download --no-deps`.',
    });
  }
  checkArchitecture(join(folder, 'tensorflow', OF_WHEELS[0]), wheel);
  const version = metadataHeader(metadata, 'Version') ?? '';
  if (isTooOld(version)) throw tooOld(wheel, version);
  if (wanted.accepts(version)) return version;
  const parts = { where: wheel, expected: `TensorFlow ${wanted.said}`, got: version || 'none' };
  throw new TenonError({ code: 'BACKEND_UNAVAILABLE', ...parts });
}

function checkArchitecture(library: string, where: string): void {
  const machine = elfMachine(library);
  if (machine === process.arch) return;
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    where,
    expected: `libraries for Linux ${process.arch}`,
    got: `libraries for ${machine}`,
  });
}

/** Says what has come so far, while something is fetched. */
export async function watched<T>(folder: string, report: Report, act: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => {
    const bytes = sizeOf(folder);
    if (bytes > 0) report(`    ${formatBytes(bytes)} so far`);
  }, 10_000);
  try {
    return await act();
  } finally {
    clearInterval(timer);
  }
}

/** The bytes of all files in a folder. */
export function sizeOf(folder: string): number {
  let bytes = 0;
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
    }
  } catch {
    // It went away meanwhile.
  }
  return bytes;
}

/** Where the libraries of a given libtensorflow are, of either layout. Throws `INVALID_ARGUMENT`, `BACKEND_UNAVAILABLE`. */
export function givenLibraries(folder: string): Omit<TensorFlow, 'version'> {
  const at = resolve(folder);
  const layouts = [
    { libraries: join(at, 'lib'), include: join(at, 'include'), names: OF_C },
    { libraries: at, include: join(at, 'include'), names: OF_WHEELS },
    { libraries: join(at, 'tensorflow'), include: join(at, 'tensorflow/include'), names: OF_WHEELS },
  ];
  const found = layouts.find(({ libraries, include, names }) =>
    [...names.map((name) => join(libraries, name)), join(include, HEADER)].every((path) => existsSync(path)),
  );
  if (!found) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: '--libtensorflow',
      expected: `a folder with lib/${OF_C[0]}, lib/${OF_C[1]} and include/${HEADER}, or the folder tensorflow of a Python's site-packages`,
      got: existsSync(at) ? `${at}, which has neither` : `${at}, which is not there`,
    });
  }
  checkArchitecture(join(found.libraries, found.names[0]), found.libraries);
  return { ...found, libraries: realpathSync(found.libraries), given: true };
}

const PROBE = `#include <dlfcn.h>
#include <stdio.h>
int main(int count, char** paths) {
  void* library = nullptr;
  for (int i = 1; i < count; i++) {
    library = dlopen(paths[i], RTLD_NOW | RTLD_GLOBAL);
    if (!library) return fprintf(stderr, "%s\\n", dlerror()), 1;
  }
  void* version = dlsym(library, "TF_Version");
  if (!version) return fprintf(stderr, "it has no TF_Version\\n"), 1;
  puts(reinterpret_cast<const char* (*)()>(version)());
}
`;

/** The version of a given libtensorflow. Throws `BACKEND_UNAVAILABLE` where it can't be loaded, `INVALID_ARGUMENT`. */
export async function probeGiven(
  given: Omit<TensorFlow, 'version'>,
  compiler: Compiler,
  work: Work,
  run: RunTool,
): Promise<TensorFlow> {
  const version = await probe({ ...given, where: given.libraries }, compiler, work, run);
  if (isTooOld(version)) throw tooOld(given.libraries, version);
  return { ...given, version };
}

/** Loads TensorFlow's libraries into a small program, and asks for their version. */
async function probe(
  { libraries, names, where }: { libraries: string; names: readonly string[]; where: string },
  compiler: Compiler,
  work: Work,
  run: RunTool,
): Promise<string> {
  const [source, program] = [join(work.folder, 'probe.cc'), join(work.folder, 'probe')];
  writeFileSync(source, PROBE);
  const compiled = await run([...compiler.command, '-std=c++17', source, '-o', program, '-ldl']);
  // The framework's library comes first, as the other one needs it.
  const paths = [...names].reverse().map((name) => join(libraries, name));
  const ran = compiled.code === 0 ? await run([program, ...paths]) : compiled;
  const version = ran.stdout.trim().split('\n').at(-1) ?? '';
  if (ran.code === 0 && version !== '') return version;
  const lacking = ran.signal === 'SIGILL';
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    where,
    message: `its libraries can't be loaded${lacking ? `: ${NO_AVX}` : ran.signal ? ` (${ran.signal})` : ''}`,
    hint: lastWords(ran.output, work).trim() || undefined,
  });
}
