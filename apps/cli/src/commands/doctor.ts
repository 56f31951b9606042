import { constants, existsSync } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, freemem, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { cuda } from '@tenon-ml/backend-cuda';
import { wasm } from '@tenon-ml/backend-wasm';
import { webgpu } from '@tenon-ml/backend-webgpu';
import { type Backend, type BackendInfo, compile, fromNested, read, toNested } from '@tenon-ml/core';
import { matMul, type Tensor2D } from '@tensorflow/tfjs-core';
import { createJiti } from 'jiti';
import { version } from '../version.js';
import { formatFeatures, type WebAssemblyFeatures, webAssemblyFeatures } from '../webassembly.js';

/** Whether a backend runs on this machine; if not, `reason` says why and what to do. */
export interface BackendReport {
  readonly name: string;
  readonly available: boolean;
  readonly info?: BackendInfo;
  readonly reason?: string;
}

/** What this machine can run. Sizes are in bytes. */
export interface DoctorReport {
  /** Whether at least one backend runs. */
  readonly ok: boolean;
  readonly tenon: string;
  readonly node: { readonly version: string; readonly needed: string; readonly ok: boolean };
  readonly platform: { readonly os: string; readonly architecture: string; readonly release: string };
  readonly cpu: { readonly model: string; readonly cores: number };
  readonly memory: { readonly total: number; readonly free: number };
  readonly webAssembly: WebAssemblyFeatures;
  readonly backends: readonly BackendReport[];
  /** Where runs would be written. */
  readonly folder: {
    readonly path: string;
    readonly writable: boolean;
    readonly free?: number;
    readonly reason?: string;
  };
  readonly experiments: {
    /** What loads experiments in TypeScript, and whether it does. */
    readonly loader: { readonly name: 'jiti'; readonly version: string; readonly path: string };
    readonly ok: boolean;
    readonly reason?: string;
    /** Where an experiment in this folder finds `@tenon-ml/train`; null where it doesn't. */
    readonly train: string | null;
  };
}

export interface DoctorOptions {
  /** The folder that runs would be written under; the current one by default. */
  readonly folder?: string;
  /** Those to try; the ones of this release by default. */
  readonly backends?: readonly Backend[];
}

const oldestNode = [20, 19] as const;

/** Looks at what this machine can run. Each backend is started, and computes something. */
export async function doctor(options: DoctorOptions = {}): Promise<DoctorReport> {
  const { folder = process.cwd(), backends = [wasm(), webgpu(), cuda()] } = options;
  const tried: BackendReport[] = [];
  for (const backend of backends) tried.push(await tryBackend(backend));
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [neededMajor, neededMinor] = oldestNode;
  return {
    ok: tried.some(({ available }) => available),
    tenon: version,
    node: {
      version: process.versions.node,
      needed: `>=${oldestNode.join('.')}`,
      ok: major > neededMajor || (major === neededMajor && minor >= neededMinor),
    },
    platform: { os: process.platform, architecture: process.arch, release: release() },
    cpu: { model: cpus()[0]?.model.trim() || 'unknown', cores: availableParallelism() },
    memory: memory(),
    webAssembly: webAssemblyFeatures(),
    backends: tried,
    folder: await inspectFolder(folder),
    experiments: await inspectExperiments(folder),
  };
}

/** The report for people. */
export function formatDoctor(report: DoctorReport): string {
  const { node, platform, cpu, memory, backends, folder, experiments } = report;
  const backendLines = backends.map(({ name, available, info, reason }): [string, string] => {
    if (!available || !info) return [name, `${reason}.`];
    const features = Object.entries(info.features).map(([feature, value]) => `${feature}: ${value}`);
    const threads = `${info.threads} thread${info.threads === 1 ? '' : 's'}`;
    return [name, ['runs', info.device, threads, ...features].join(', ')];
  });
  const { loader, train } = experiments;
  const lines: [string, string][] = [
    ['tenon', report.tenon],
    ['node', `${node.version}${node.ok ? '' : `, too old: it takes ${node.needed}`}`],
    ['platform', `${platform.os} ${platform.architecture}, ${platform.release}`],
    ['cpu', `${cpu.model}, ${cpu.cores} core${cpu.cores === 1 ? '' : 's'}`],
    ['memory', `${formatBytes(memory.total)}, ${formatBytes(memory.free)} free`],
    ['webassembly', formatFeatures(report.webAssembly)],
    ['', ''],
    ...backendLines,
    ['', ''],
    [
      'runs',
      folder.writable
        ? `can be written under ${folder.path}${folder.free === undefined ? '' : `, ${formatBytes(folder.free)} free`}`
        : `cannot be written under ${folder.path} (${folder.reason}): choose another folder with --out`,
    ],
    [
      'experiments',
      experiments.ok
        ? `in TypeScript are loaded by ${loader.name} ${loader.version} (${loader.path})`
        : `in TypeScript cannot be loaded: ${experiments.reason}`,
    ],
    [
      '',
      train
        ? `and find @tenon-ml/train in ${train}`
        : 'and do not find @tenon-ml/train from this folder: npm install @tenon-ml/train',
    ],
    ['', ''],
  ];
  const verdict = report.ok
    ? 'This machine can train.'
    : 'No backend runs on this machine: nothing can be trained.';
  return [...lines.map(([name, text]) => `${name.padEnd(13)}${text}`.trimEnd()), verdict].join('\n');
}

async function tryBackend(backend: Backend): Promise<BackendReport> {
  const { name } = backend;
  try {
    const info = await backend.init();
    try {
      const product = compile((a: Tensor2D, b: Tensor2D) => matMul(a, b), { backend, name: 'doctor' });
      const result = await read(product(fromNested([[2, 3]]), fromNested([[5], [7]])));
      const values = JSON.stringify(toNested(result));
      if (values === '[[31]]') return { name, available: true, info };
      return { name, available: false, info, reason: `it computes wrongly: ${values} rather than [[31]]` };
    } finally {
      await backend.dispose();
    }
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    // The line begins with the name.
    const reason = said.replace(`${name}: `, '').replace(/\.$/, '');
    return { name, available: false, reason };
  }
}

function memory(): DoctorReport['memory'] {
  // In a container the limit counts; without one it is 0 or beyond all memory.
  const limit = process.constrainedMemory();
  const constrained = limit > 0 && limit < totalmem();
  return constrained
    ? { total: limit, free: Math.min(freemem(), Math.max(0, limit - process.memoryUsage.rss())) }
    : { total: totalmem(), free: freemem() };
}

async function inspectFolder(folder: string): Promise<DoctorReport['folder']> {
  const runs = join(folder, 'runs');
  const path = existsSync(runs) ? runs : folder;
  try {
    await access(path, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(path);
    return { path, writable: true, free: bavail * bsize };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason =
      { EACCES: 'no permission', EROFS: 'a read-only file system', ENOENT: 'there is no such folder' }[
        code ?? ''
      ] ?? String(code);
    return { path, writable: false, reason };
  }
}

async function inspectExperiments(folder: string): Promise<DoctorReport['experiments']> {
  const own = createRequire(import.meta.url);
  const manifest = own.resolve('jiti/package.json');
  const loader = { name: 'jiti', version: String(own(manifest).version), path: dirname(manifest) } as const;
  const file = join(folder, 'experiment.ts');
  const jiti = createJiti(pathToFileURL(file).href);
  const found = jiti.esmResolve('@tenon-ml/train/package.json', { try: true });
  const train = found ? dirname(fileURLToPath(found)) : null;
  try {
    const source = 'const answer: number = 42;\nexport default answer;\n';
    const loaded = await jiti.evalModule(source, { filename: file, async: true });
    if ((loaded as { default?: unknown }).default !== 42) throw new Error('it loads something else');
    return { loader, ok: true, train };
  } catch (error) {
    return { loader, ok: false, reason: (error as Error).message.split('\n')[0], train };
  }
}

function formatBytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
