/** `tenon setup cuda`: everything that makes a working binding of libtensorflow on this machine. */
import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isTenonError, TenonError } from '@tenon-ml/core/errors';
import { type BuildRecord, cacheFolder, PACKAGE, PACKAGE_VERSION } from '../cache.js';
import {
  BUILD_RECORD,
  buildKey,
  buildsIn,
  type FoundBuild,
  findBuild,
  keyOf as keyOfName,
  removeSuperseded,
  settleBuild,
  useBuild,
} from './builds.js';
import { compileBinding } from './compile.js';
import { type Compiler, findCompiler, findNpm, findPython, type Python } from './find_tools.js';
import {
  type ChosenFlavour,
  checkMachine,
  checkStorage,
  chooseFlavour,
  type Machine,
  storageError,
} from './machine.js';
import type { Report, SetupOptions, SetupResult } from './options.js';
import { checkPackageFile, fetchPackage, installedSource, unpackPackage } from './sources.js';
import {
  cachedTensorFlow,
  fetchTensorFlow,
  givenLibraries,
  probeGiven,
  type TensorFlow,
  watched,
  wheelIn,
} from './tensorflow.js';
import { type RunTool, toolRunner } from './tool.js';
import { type Tried, tryBinding } from './try_binding.js';
import { STANDARD_TENSORFLOW, type WantedVersion, wantedVersion } from './versions.js';
import { openWork, removeStale, type Work } from './work.js';

/** Measured with TensorFlow 2.21: the wheel and what is taken from it. */
const CPU_SPACE = { bytes: 1.2e9, said: '1.2 GB' };
/** TensorFlow's wheel for GPUs and a dozen of NVIDIA's, none of which was at hand. */
const GPU_SPACE = { bytes: 8e9, said: 'about 8 GB (an estimate)' };
const BUILD_SPACE = { bytes: 10e6, said: '10 MB' };

/** All that is known before any program runs. */
interface Plan extends ChosenFlavour {
  readonly machine: Machine;
  readonly cache: string;
  readonly wanted: WantedVersion;
  readonly given: Omit<TensorFlow, 'version'> | undefined;
  readonly cached: TensorFlow | undefined;
  readonly options: SetupOptions;
}

/**
 * Builds a binding of TensorFlow's libraries for this machine and leaves it in the cache (see `cacheFolder`), where the
 * backend finds it. pip fetches TensorFlow, unless one is given or was fetched before; npm fetches the binding's sources,
 * unless the package is installed or given. What is missing is said before anything is fetched. A set-up that ends early,
 * by an error, a signal or a crash, leaves what was there before as it was.
 *
 * `report` is told of each step. Throws `BACKEND_UNAVAILABLE` for a machine, a tool or a wheel that won't do,
 * `INVALID_ARGUMENT`, `DOWNLOAD_FAILED`, `DATA_INVALID` for a damaged file, `STORAGE_FULL`, `PERMISSION_DENIED`,
 * `STORAGE_FAILED`, and the reason of `signal`.
 */
export async function setupCuda(options: SetupOptions = {}, report: Report = () => {}): Promise<SetupResult> {
  const began = performance.now();
  const plan = makePlan(options);
  const { cache, cached, given, flavour } = plan;
  report(`Setting up TensorFlow for the ${flavour.toUpperCase()}: ${plan.reason}.`);
  const fetches = !cached && !given;
  await checkStorage(cache, fetches ? (flavour === 'gpu' ? GPU_SPACE : CPU_SPACE) : BUILD_SPACE);
  let work: Work | undefined;
  try {
    const others = await removeStale(cache);
    work = openWork(cache);
    if (others.length === 0) await removeSuperseded(work);
    const found = await makeBuild(plan, work, toolRunner(work, options.signal), report);
    return { ...found, seconds: (performance.now() - began) / 1000 };
  } catch (error) {
    if (isTenonError(error) || options.signal?.aborted) throw error;
    if (work && !existsSync(work.folder)) {
      throw new TenonError({
        code: 'STORAGE_FAILED',
        where: work.folder,
        message: "the set-up's work folder was removed while it was at work",
        hint: 'Try again.',
        cause: error,
      });
    }
    throw storageError(cache, error);
  } finally {
    await work?.close();
  }
}

function makePlan(options: SetupOptions): Plan {
  const machine = checkMachine();
  const cache = options.cache === undefined ? cacheFolder() : resolve(options.cache);
  if (cache === undefined) throw new Error('There is no Node here.');
  checkTogether(options);
  const wanted = wantedVersion(options.tensorflow ?? STANDARD_TENSORFLOW);
  if (options.package !== undefined) checkPackageFile(options.package);
  const given = options.libtensorflow === undefined ? undefined : givenLibraries(options.libtensorflow);
  const chosen = chooseFlavour(options.device, machine.architecture, given !== undefined);
  const cached = given ? undefined : cachedTensorFlow(cache, chosen.flavour, wanted);
  if (options.wheelDir !== undefined && !cached && !given) {
    wheelIn(resolve(options.wheelDir), chosen.flavour, wanted, machine);
  }
  return { machine, cache, wanted, given, cached, options, ...chosen };
}

/** A given libtensorflow isn't fetched. */
function checkTogether({ libtensorflow, tensorflow, wheelDir, python }: SetupOptions): void {
  if (libtensorflow === undefined) return;
  const others = { '--tensorflow': tensorflow, '--wheel-dir': wheelDir, '--python': python };
  const given = Object.entries(others).flatMap(([flag, value]) => (value === undefined ? [] : [flag]));
  if (given.length === 0) return;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: '--libtensorflow',
    message: `it doesn't go with ${given.join(' and ')}: nothing is fetched then`,
    hint: 'Leave out the one or the other.',
  });
}

/** The build that is there and works, or a new one. */
async function makeBuild(
  plan: Plan,
  work: Work,
  run: RunTool,
  report: Report,
): Promise<Omit<SetupResult, 'seconds'>> {
  const { options, cache } = plan;
  const step = stepper(report);
  const before = buildsIn(cache).map(({ name }) => name);
  const there = buildOf(plan);
  if (there && !options.force) {
    const found = await useCached(there, work, run, report);
    if (found) return found;
  }
  const tools = await step(
    ({ compiler, python }) => `checked ${compiler.version}${python ? `, Python ${python.version}` : ''}`,
    () => findTools(plan, work, run),
  );
  const tensorflow = await getTensorFlow(plan, tools, work, run, report);
  const source = await getSource(options, work, run, step);
  const folder = await step('built the binding', () =>
    compileBinding(source, tensorflow, tools.compiler, work, run),
  );
  const tried = await step('tried it', () => tryBinding(folder, tensorflow.version, work, run));
  const record: BuildRecord = {
    format: 1,
    flavour: plan.flavour,
    tensorflow: tensorflow.version,
    binding: PACKAGE_VERSION,
    platform: plan.machine.platform,
    architecture: plan.machine.architecture,
    libraries: tensorflow.libraries,
    compiler: tools.compiler.version,
    built: new Date().toISOString(),
  };
  writeFileSync(join(folder, BUILD_RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
  const name = await settleBuild(folder, keyOf(plan, tensorflow), before, work);
  await useBuild(name, work);
  return resultOf(join(work.cache, 'builds', name), record, tried, false);
}

/** The build that is there for what is wanted; whether it still works, nobody knows. */
function buildOf(plan: Plan): FoundBuild | undefined {
  const { cache, cached, given } = plan;
  if (cached) return findBuild(cache, keyOf(plan, cached));
  // Which version the given libraries are is known once they are loaded.
  const ofGiven = buildsIn(cache).find(({ name, record: { tensorflow, libraries } }) => {
    const wanted = { ...(given as NonNullable<typeof given>), version: tensorflow };
    return libraries === given?.libraries && keyOfName(name) === keyOf(plan, wanted);
  });
  return ofGiven && findBuild(cache, keyOfName(ofGiven.name));
}

/** That build, if it works. */
async function useCached(
  { folder, name, record }: FoundBuild,
  work: Work,
  run: RunTool,
  report: Report,
): Promise<Omit<SetupResult, 'seconds'> | undefined> {
  try {
    const tried = await tryBinding(folder, record.tensorflow, work, run);
    await useBuild(name, work);
    return resultOf(folder, record, tried, true);
  } catch (error) {
    if (!isTenonError(error)) throw error;
    report(`  the build that is there doesn't work any more, so it is built again (${reasonOf(error)})`);
    return undefined;
  }
}

/** An error's first sentence, without what to do. */
function reasonOf({ message, hint }: TenonError): string {
  return hint === undefined ? message : message.slice(0, -hint.length).trim();
}

function resultOf(
  folder: string,
  build: BuildRecord,
  { gpu, said }: Tried,
  cached: boolean,
): Omit<SetupResult, 'seconds'> {
  return { folder, build, cached, gpu, ...(build.flavour === 'gpu' && !gpu && said !== '' && { said }) };
}

function keyOf({ flavour, machine }: Plan, { version, libraries, given }: TensorFlow): string {
  const { platform, architecture } = machine;
  return buildKey({
    flavour,
    tensorflow: version,
    platform,
    architecture,
    ...(given && { given: libraries }),
  });
}

interface Tools {
  readonly compiler: Compiler;
  /** Undefined where nothing is fetched. */
  readonly python: Python | undefined;
}

/** Looks for everything before it says what is missing. */
async function findTools({ options, cached, given }: Plan, work: Work, run: RunTool): Promise<Tools> {
  const missing: TenonError[] = [];
  const attempt = async <T>(find: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await find();
    } catch (error) {
      if (!isTenonError(error)) throw error;
      missing.push(error);
      return undefined;
    }
  };
  const compiler = await attempt(() => findCompiler(options.compiler, work, run));
  const needsPython = !cached && !given;
  const python = needsPython ? await attempt(() => findPython(options.python, work, run)) : undefined;
  if (options.package === undefined && installedSource() === undefined) await attempt(findNpm);
  if (missing.length === 0 && compiler) return { compiler, python };
  if (missing.length === 1) throw missing[0];
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    message: `${missing.length} things are missing.\n${missing.map(({ message }) => `  - ${message}`).join('\n')}`,
  });
}

async function getTensorFlow(
  { cached, given, flavour, wanted, machine, options }: Plan,
  { compiler, python }: Tools,
  work: Work,
  run: RunTool,
  report: Report,
): Promise<TensorFlow> {
  if (cached) {
    report(`  TensorFlow ${cached.version} was fetched before`);
    return cached;
  }
  if (given) {
    const tensorflow = await probeGiven(given, compiler, work, run);
    report(`  TensorFlow ${tensorflow.version} is in ${tensorflow.libraries}`);
    return tensorflow;
  }
  if (!python) throw new Error('Without a Python nothing is fetched.');
  const wheelDir = options.wheelDir === undefined ? undefined : resolve(options.wheelDir);
  const size = flavour === 'gpu' ? "some 3 GB with NVIDIA's libraries" : 'some 300 MB';
  report(`  fetching TensorFlow ${wanted.said}${wheelDir ? ` from ${wheelDir}` : ` with pip, ${size}`} …`);
  const pip = { python, target: machine, wheelDir, run, work };
  return stepper(report)(
    ({ version }) => `fetched ${version}`,
    () => watched(work.temporary, report, () => fetchTensorFlow(flavour, wanted, pip, compiler, report)),
  );
}

async function getSource(
  options: SetupOptions,
  work: Work,
  run: RunTool,
  step: ReturnType<typeof stepper>,
): Promise<string> {
  const file = options.package;
  if (file !== undefined) return unpackPackage(checkPackageFile(file), work, run);
  return installedSource() ?? step(`fetched ${PACKAGE} with npm`, () => fetchPackage(work, run));
}

/** Does a step, and says so with its seconds. */
function stepper(report: Report) {
  return async <T>(name: string | ((result: T) => string), act: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const result = await act();
    const did = typeof name === 'string' ? name : name(result);
    report(`  ${did}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    return result;
  };
}
