/**
 * What a peer's process says and hears: lines of JSON on stdin and stdout.
 *
 *     ← { version, backend, threads }, or { unavailable: reason }       once, at the start
 *     → { op: 'start', id, workload, batch, case }       ← { id } or { id, error } or { id, unsupported }
 *     → { op: 'run', id, steps }                         ← { id, times, loss } or { id, error }
 *     → { op: 'describe', id }                           ← { id, dispatches, jsMs, planBytes }, once it has run
 *     → { op: 'stop', id }                               ← { id }
 *
 * `times` are milliseconds, one for each step. The process ends when stdin does. python/serve.py says the same in Python.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** What is asked for: a workload at a batch size, in a variant. */
export interface Unit {
  readonly workload: string;
  readonly batch: number;
  readonly case: string;
}

/** A unit that runs. */
export interface Started {
  /** One whole step: what it computes has been computed when it ends. Gives the loss, where there is one. */
  step(): number | undefined | Promise<number | undefined>;
  dispose?(): void | Promise<void>;
  /** Kernels that a step launches. */
  dispatches?(): number | undefined;
  /** Milliseconds that a step takes in JavaScript alone. */
  jsMs?(): Promise<number | undefined>;
  /** Bytes that a replayed step has in between. */
  planBytes?(): number | undefined;
}

export interface Peer {
  readonly version: string;
  readonly backend: string;
  readonly threads: number;
  start(unit: Unit): Started | Promise<Started>;
}

/** Thrown by `start` for what a peer can't express, as opposed to what it fails at. */
export class Unsupported extends Error {}

/** Thrown while a peer opens, where it isn't installed. */
export class Unavailable extends Error {}

interface Request extends Unit {
  readonly op: 'start' | 'run' | 'describe' | 'stop';
  readonly id: number;
  readonly steps: number;
}

/** Serves until stdin ends. What a library prints goes to stderr. */
export async function serve(open: (options: { threads: number; backend: string }) => Promise<Peer>) {
  const write = process.stdout.write.bind(process.stdout);
  const say = (message: object) => void write(`${JSON.stringify(message)}\n`);
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;

  const [threads, backend] = [Number(process.argv[2]), process.argv[3]];
  let peer: Peer;
  try {
    peer = await open({ threads, backend });
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    say({ unavailable: error.message });
    return;
  }
  say({ version: peer.version, backend: peer.backend, threads: peer.threads });

  const units = new Map<number, Started>();
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request;
    const { op, id } = request;
    try {
      say({ id, ...(await answer(peer, units, request)) });
    } catch (error) {
      units.delete(id);
      const { message } = error as Error;
      say(error instanceof Unsupported ? { id, unsupported: message } : { id, error: message });
    }
    if (op === 'stop') units.delete(id);
  }
  process.exit(0);
}

async function answer(peer: Peer, units: Map<number, Started>, request: Request): Promise<object> {
  const { op, id, workload, batch, steps } = request;
  if (op === 'start') {
    units.set(id, await peer.start({ workload, batch, case: request.case }));
    return {};
  }
  const unit = units.get(id);
  if (op === 'stop') {
    await unit?.dispose?.();
    return {};
  }
  if (!unit) throw new Error(`unit ${id} was not started, or has failed`);
  if (op === 'describe') {
    const jsMs = await unit.jsMs?.();
    return { dispatches: unit.dispatches?.(), jsMs, planBytes: unit.planBytes?.() };
  }
  const times: number[] = [];
  let loss: number | undefined;
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    loss = await unit.step();
    times.push(performance.now() - start);
  }
  if (loss !== undefined && !Number.isFinite(loss)) throw new Error(`the loss is ${loss}`);
  return { times, loss };
}

/** A module that may not be installed. Throws `Unavailable`, saying how to get it. */
export async function optional<T>(load: () => Promise<T>, name: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Unavailable(`${name} isn't installed`);
  }
}

/** The version of the package that a file belongs to. */
export function installedVersion(url: string): string {
  for (let folder = new URL('.', url); folder.pathname !== '/'; folder = new URL('..', folder)) {
    try {
      return JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')).version;
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}
