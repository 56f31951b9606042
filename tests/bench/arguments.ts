import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type PeerSource, peerSources } from './peers.js';
import type { Workload } from './workload.js';
import { findWorkload, suites, workloads } from './workloads/index.js';

export const usage = `npm run bench -- NAME... [options]

NAME is a workload or a suite; several are measured one after the other.

${list(
  'workloads',
  workloads.map(({ name, summary }) => [name, summary]),
)}

${list(
  'suites',
  Object.entries(suites).map(([name, members]) => [name, members.join(', ')]),
)}

options
  --batch N,...     batch sizes instead of the workload's own (matmul has none)
  --threads N,...   threads of every peer that has them; 1 by default
  --peers NAME,...  ${[...new Set(peerSources.map(({ name }) => name))].join(', ')};
                    NAME:BACKEND for one backend of a peer; by default all that are on the
                    CPU, or for the suite webgpu all that are on WebGPU;
                    tenon:cuda,tensorflow:cuda,keras:cuda are on an NVIDIA GPU
  --python PATH     the Python of pytorch and keras; python3 by default
  --rounds N        rounds of a comparison; 5 by default
  --seconds N       measuring time in all; 20 for each comparison by default
  --patience N      seconds that one call may take before a peer is given up; 120 by default
  --json            the result as JSON, on stdout alone`;

export class UsageError extends Error {}

export interface BenchOptions {
  readonly workloads: readonly Workload[];
  /** Whether the answer is an array: a suite, or several names. */
  readonly several: boolean;
  readonly batches: readonly number[] | undefined;
  readonly threads: readonly number[];
  readonly peers: readonly PeerSource[];
  readonly python: string;
  readonly rounds: number;
  readonly seconds: number | undefined;
  readonly patience: number;
  readonly json: boolean;
}

/** The options on a command line. Throws `UsageError`, or gives 'help'. */
export function parseArguments(args: readonly string[]): BenchOptions | 'help' {
  const { values, positionals } = parsed(args);
  if (values.help) return 'help';
  if (positionals.length === 0) throw new UsageError('Name a workload or a suite.');
  const names = [...new Set(positionals.flatMap((name) => suites[name] ?? [name]))];
  const chosen = names.map((name) => {
    const workload = findWorkload(name);
    if (workload) return workload;
    const known = [...workloads.map((other) => other.name), ...Object.keys(suites)].join(', ');
    throw new UsageError(`There is no workload or suite '${name}'; there are: ${known}.`);
  });
  return {
    workloads: chosen,
    several: positionals.length > 1 || positionals[0] in suites,
    batches: values.batch === undefined ? undefined : integers('--batch', values.batch),
    threads: threadCounts(positionals, values.threads),
    peers: choosePeers(values.peers, positionals.includes('webgpu')),
    python: values.python ?? 'python3',
    rounds: oneInteger('--rounds', values.rounds ?? '5'),
    seconds: values.seconds === undefined ? undefined : seconds('--seconds', values.seconds),
    patience: seconds('--patience', values.patience ?? '120'),
    json: values.json ?? false,
  };
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        batch: text,
        threads: text,
        peers: text,
        python: text,
        rounds: text,
        seconds: text,
        patience: text,
        json: flag,
        help: { ...flag, short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function threadCounts(names: readonly string[], text: string | undefined): readonly number[] {
  const threads = integers('--threads', text ?? '1');
  if (names.includes('cpu') && (threads.length > 1 || threads[0] !== 1))
    throw new UsageError("The suite 'cpu' is of one thread: leave --threads out, or take 'all'.");
  const cores = availableParallelism();
  const tooMany = threads.find((count) => count > cores);
  if (tooMany !== undefined)
    throw new UsageError(`--threads ${tooMany} is more than the ${cores} cores of this machine.`);
  return threads;
}

function choosePeers(text: string | undefined, onGpu: boolean): readonly PeerSource[] {
  const usual = peerSources.filter(({ gpu, byName }) => gpu === (onGpu ? 'webgpu' : undefined) && !byName);
  if (text === undefined) return usual;
  const chosen = new Set<PeerSource>();
  for (const wanted of text.split(',')) {
    const [name, backend] = wanted.split(':');
    const found = (backend === undefined ? usual : peerSources).filter(
      (source) => source.name === name && (backend === undefined || source.backend === backend),
    );
    if (found.length === 0) {
      const known = peerSources.map((source) => `${source.name}:${source.backend}`).join(', ');
      throw new UsageError(`There is no peer '${wanted}'; there are: ${known}.`);
    }
    for (const source of found) chosen.add(source);
  }
  return peerSources.filter((source) => chosen.has(source));
}

function integers(option: string, text: string): readonly number[] {
  const numbers = text.split(',').map(Number);
  if (numbers.every((value) => Number.isInteger(value) && value >= 1)) return numbers;
  throw new UsageError(`${option} takes whole numbers of at least 1, got '${text}'.`);
}

function oneInteger(option: string, text: string): number {
  const numbers = integers(option, text);
  if (numbers.length === 1) return numbers[0];
  throw new UsageError(`${option} takes one number, got '${text}'.`);
}

function seconds(option: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`${option} takes a number of seconds above 0, got '${text}'.`);
}

function list(title: string, rows: readonly (readonly [string, string])[]): string {
  return [title, ...rows.map(([name, text]) => `  ${name.padEnd(16)}  ${text}`)].join('\n');
}
