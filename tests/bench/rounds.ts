import { Absent, type Description, type Hello, PeerProcess } from './peer_process.js';
import type { PeerSource, Programs } from './peers.js';
import { median, plan, ratioByRound } from './statistics.js';
import type { Workload } from './workload.js';

/** One row of the answer, and of `results` in JSON. */
export interface Result {
  readonly peer: string;
  readonly backend: string;
  readonly threads: number;
  readonly batch: number;
  readonly case: string;
  /** Of the rounds' medians: their median, the least, the largest. Milliseconds a step. */
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Milliseconds a step in JavaScript alone, launches stubbed out. */
  readonly jsMs?: number;
  /** Kernels launched by a step. */
  readonly dispatches?: number;
  /** Bytes that a replayed step has in between. */
  readonly planBytes?: number;
}

/** What is compared with each other: everything of one batch size, one size of product, one number of threads. */
export interface Group {
  readonly workload: string;
  readonly threads: number;
  readonly batch: number;
  readonly size: string | undefined;
}

export interface Row extends Result {
  readonly rounds: number;
  /** The medians of the rounds in which it ran. */
  readonly times: readonly (number | undefined)[];
  /** Its time over ours, the median over rounds. */
  readonly ratio?: number;
}

export interface Skip {
  readonly peer: string;
  readonly backend: string;
  readonly batch: number;
  readonly case: string;
  readonly reason: string;
  /** Whether it failed at what it should be able to do. */
  readonly failed: boolean;
}

export interface Measured {
  readonly group: Group;
  readonly rows: readonly Row[];
  readonly skips: readonly Skip[];
}

export interface Settings {
  readonly rounds: number;
  /** Measuring time of a group, shared by what is in it. */
  readonly groupMs: number;
  /** A first step that takes longer ends the peer's process. */
  readonly patienceMs: number;
}

/** The groups of a workload, in the order in which they are run. */
export function groupsOf(
  workload: Workload,
  threads: readonly number[],
  batches: readonly number[] | undefined,
): Group[] {
  return threads.flatMap((count): Group[] => {
    const group = { workload: workload.name, threads: count };
    if (workload.kind === 'product')
      return workload.products.map((product) => ({ ...group, batch: 1, size: product.case }));
    return (batches ?? workload.batches).map((batch) => ({ ...group, batch, size: undefined }));
  });
}

/** The variants in which a peer runs in a group. */
function casesOf({ name, gpu }: PeerSource, { size }: Group): readonly string[] {
  if (size !== undefined) return [size];
  if (name !== 'tenon') return ['step'];
  return gpu === 'webgpu' ? ['step', 'mixed', 'eager'] : ['step', 'eager'];
}

interface Unit {
  readonly source: PeerSource;
  readonly process: PeerProcess;
  readonly id: number;
  readonly case: string;
  readonly threads: number;
  /** What it computes on, as it says itself. */
  readonly backend: string;
  readonly times: (number | undefined)[];
  steps: number;
  rounds: number;
  description: Description;
}

/** The processes of one workload: each peer's starts when it is first needed, and again after it had to be ended. */
export class Processes {
  readonly versions: Record<string, string> = {};
  readonly #open = new Map<string, { process: PeerProcess; hello: Hello }>();
  readonly #absent = new Map<string, Error>();

  constructor(private readonly programs: Programs) {}

  async get(source: PeerSource, threads: number) {
    const key = `${source.name} ${source.backend} ${threads}`;
    const known = this.#open.get(key);
    if (known?.process.alive) return known;
    const absent = this.#absent.get(`${source.name} ${source.backend}`);
    if (absent) throw absent;
    try {
      const opened = await PeerProcess.open(await this.programs.command(source, threads), 120_000);
      this.#open.set(key, opened);
      this.versions[source.name] = opened.hello.version;
      return opened;
    } catch (error) {
      this.#absent.set(`${source.name} ${source.backend}`, error as Error);
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ process }) => process.close()));
    this.#open.clear();
  }
}

/**
 * Measures a group: starts and warms up every peer, then takes rounds in which each runs its steps in turn. The order
 * rotates, so that none is always the first after a pause.
 */
export async function measure(
  group: Group,
  peers: readonly PeerSource[],
  processes: Processes,
  settings: Settings,
  progress: (text: string) => void,
): Promise<Measured> {
  const skips: Skip[] = [];
  const units: Unit[] = [];
  const skip = (source: PeerSource, name: string, error: unknown) => {
    const reason = (error as Error).message;
    const { name: peer, backend } = source;
    skips.push({ peer, backend, batch: group.batch, case: name, reason, failed: !(error instanceof Absent) });
    progress(`${peer} (${backend}), ${name}: skipped: ${reason}`);
  };

  const wanted = peers.flatMap((source) => casesOf(source, group).map((name) => ({ source, name })));
  const shareMs = settings.groupMs / wanted.length;
  for (const { source, name } of wanted) {
    try {
      units.push(await start(group, source, name, processes, shareMs, settings));
    } catch (error) {
      skip(source, name, error);
    }
  }
  for (let round = 0; round < settings.rounds; round++) {
    progress(`round ${round + 1} of ${settings.rounds}`);
    const first = round % Math.max(1, units.length);
    for (const unit of [...units.slice(first), ...units.slice(0, first)]) {
      if (round >= unit.rounds || unit.steps === 0) continue;
      try {
        const { times } = await unit.process.run(unit.id, unit.steps, settings.patienceMs + 10 * shareMs);
        unit.times[round] = median(times);
      } catch (error) {
        skip(unit.source, unit.case, error);
        unit.rounds = 0;
      }
    }
  }
  for (const unit of units) {
    const { process, id } = unit;
    if (unit.rounds > 0 && process.alive) unit.description = await process.describe(id, settings.patienceMs);
    await process.stop(id);
  }

  const ours = units.find(({ source }) => source.name === 'tenon')?.times;
  return {
    group,
    rows: units.filter(({ rounds }) => rounds > 0).map((unit) => row(unit, group, ours)),
    skips,
  };
}

async function start(
  group: Group,
  source: PeerSource,
  name: string,
  processes: Processes,
  shareMs: number,
  { rounds, patienceMs }: Settings,
): Promise<Unit> {
  const { process, hello } = await processes.get(source, group.threads);
  const id = await process.start({ workload: group.workload, batch: group.batch, case: name }, patienceMs);
  const stepMs = await warmUp(process, id, shareMs, patienceMs);
  const unit = {
    source,
    process,
    id,
    case: name,
    threads: hello.threads,
    backend: hello.backend,
    description: {},
  };
  // One step has taken all its time already: it is the figure.
  if (stepMs > shareMs) return { ...unit, times: [stepMs], steps: 0, rounds: 1 };
  return { ...unit, times: [], ...plan(stepMs, shareMs / rounds, rounds) };
}

/** Runs what compilers and caches need before times settle; gives the time of a step. */
async function warmUp(
  process: PeerProcess,
  id: number,
  shareMs: number,
  patienceMs: number,
): Promise<number> {
  let { times } = await process.run(id, 1, patienceMs);
  // The first step may compile for long; only the second tells how slow a peer is.
  const beginning = performance.now();
  const enough = Math.min(1000, shareMs / 2);
  let steps = 1;
  do {
    ({ times } = await process.run(id, steps, patienceMs));
    steps = Math.min(2 * steps, 64);
  } while (performance.now() - beginning < enough);
  return median(times);
}

function row(unit: Unit, group: Group, ours: readonly (number | undefined)[] | undefined): Row {
  const times = unit.times.filter((time) => time !== undefined);
  const { dispatches, jsMs, planBytes } = unit.description;
  return {
    peer: unit.source.name,
    backend: unit.backend,
    threads: unit.threads,
    batch: group.batch,
    case: unit.case,
    medianMs: median(times),
    minMs: Math.min(...times),
    maxMs: Math.max(...times),
    ...(dispatches === undefined ? {} : { dispatches }),
    ...(jsMs === undefined ? {} : { jsMs }),
    ...(planBytes === undefined ? {} : { planBytes }),
    rounds: times.length,
    times: unit.times,
    ...(ours ? { ratio: ratioByRound(unit.times, ours) } : {}),
  };
}
