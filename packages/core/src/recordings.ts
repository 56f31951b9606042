import { Tensor } from '@tensorflow/tfjs-core';
import { internals } from './engine.js';
import type { NdArray } from './ndarray.js';
import { type Plan, type Precision, type Recorder, type Recording, RecordingMismatch } from './recorder.js';
import { isNode, type Tree, treeMap } from './tree.js';

/** What is known of the calls of one signature. */
interface Entry {
  readonly signature: string;
  /** Of the recorder's backend as it was then: a backend that is started again begins anew. */
  readonly recorder: Recorder;
  /** The trace to compare the next one with. */
  last?: Recording;
  /** How many traces differed from the one before. */
  disagreements: number;
  plan?: Plan;
  /** The output of the recorded call, with the position of each leaf in its place. */
  structure?: Tree<number>;
  /** Why calls stay eager. */
  reason?: string;
}

/** Signatures that are remembered by one compiled function; the least recently used one goes first. */
const LIMIT = 16;
/** Traces that may differ from the one before until the calls of a signature are left eager. */
const DISAGREEMENTS = 2;

/** The recordings of one compiled function, by the signature of its arguments. */
export class Recordings {
  readonly #precision: Precision;
  readonly #entries = new Map<string, Entry>();
  #current: Entry | undefined;
  #last: { mode: 'eager' | 'traced' | 'replayed'; reason: string } = {
    mode: 'eager',
    reason: 'it has not been called yet',
  };

  constructor(precision: Precision = 'float32') {
    this.#precision = precision;
  }

  /** Looks up the signature of a call, and makes it the current one. Its entry, if it can be replayed. */
  find(recorder: Recorder, args: readonly Tree<Tensor | NdArray>[]): Entry | undefined {
    const signature = signatureOf(args);
    let entry = this.#entries.get(signature);
    // Anew at the end: the order of a Map is that of use.
    this.#entries.delete(signature);
    if (entry?.recorder !== recorder) entry = { signature, recorder, disagreements: 0 };
    this.#entries.set(signature, entry);
    this.#current = entry;
    if (this.#entries.size > LIMIT) {
      const [[oldest, { plan, recorder: owner }]] = this.#entries;
      this.#entries.delete(oldest);
      // The blocks of a backend that was disposed of went with it.
      if (owner === recorder) plan?.dispose();
    }
    if (entry.plan) return entry;
    if (entry.reason) this.#last = { mode: 'eager', reason: entry.reason };
    return undefined;
  }

  /** Whether the current signature is still to be traced. */
  get isOpen(): boolean {
    return this.#current !== undefined && !this.#current.plan && this.#current.reason === undefined;
  }

  /** Replays a call; undefined where it turns out not to be like the recorded one. */
  replay(entry: Entry, leaves: readonly (Tensor | NdArray)[]): Tree<Tensor> | undefined {
    const { plan, structure } = entry;
    if (!plan || structure === undefined) return undefined;
    let outputs: readonly Tensor[];
    try {
      outputs = plan.run(leaves);
    } catch (error) {
      if (!(error instanceof RecordingMismatch)) throw error;
      this.#drop(entry);
      this.#stayEager(entry, error.message);
      return undefined;
    }
    const tfjs = internals();
    // No scope around the call may free them: whoever gets them does.
    for (const tensor of outputs) tfjs.keep(tensor);
    this.#last = { mode: 'replayed', reason: 'the same as a recorded call' };
    return treeMap<number, Tensor>(structure, (position) => outputs[position]);
  }

  /**
   * Takes a traced call of the current signature into account. What it returns replaces the call's output: see
   * `Recorder.changesNumbers`. Throws what its plan throws when it runs.
   */
  add(
    recorder: Recorder,
    recording: Recording,
    output: Tree<Tensor>,
    leaves: readonly (Tensor | NdArray)[],
  ): Tree<Tensor> | undefined {
    const entry = this.#current;
    if (!entry) return undefined;
    if (recording.reason !== undefined) {
      this.#stayEager(entry, recording.reason);
      return undefined;
    }
    const { last } = entry;
    entry.last = recording;
    const differs = last && recorder.difference(last, recording);
    if (differs !== undefined && ++entry.disagreements >= DISAGREEMENTS) {
      this.#stayEager(entry, differs);
      return undefined;
    }
    const agrees = last !== undefined && differs === undefined;
    let result: Tree<Tensor> | undefined;
    if (agrees || recorder.changesNumbers) {
      let next = 0;
      entry.structure = treeMap<Tensor, number>(output, () => next++);
      try {
        entry.plan = recorder.plan(recording, this.#precision);
      } catch (error) {
        // The call itself went well: a recording that there is no room for is no reason to lose it.
        this.#stayEager(entry, error instanceof Error ? error.message : String(error));
        return undefined;
      }
      if (recorder.changesNumbers) {
        try {
          result = this.replay(entry, leaves);
        } catch (error) {
          // What ran before may have failed as well, and be told of only now: the call's own output is worth nothing.
          this.#drop(entry);
          throw error;
        }
        if (!result) return undefined;
      }
    }
    if (agrees) {
      delete entry.last;
      this.#last = { mode: 'traced', reason: 'it agreed with the call before: the next one is replayed' };
    } else {
      this.#drop(entry);
      const reason = differs ?? 'the first call of its kind, watched for a recording';
      this.#last = { mode: 'traced', reason };
    }
    return result;
  }

  explain(): {
    mode: 'eager' | 'traced' | 'replayed';
    reason: string;
    recordings: { signature: string; commands: number; bytes: number }[];
  } {
    const recordings = [...this.#entries.values()].flatMap(({ signature, plan }) =>
      plan ? [{ signature, commands: plan.commands, bytes: plan.bytes }] : [],
    );
    return { ...this.#last, recordings };
  }

  #drop(entry: Entry): void {
    entry.plan?.dispose();
    delete entry.plan;
  }

  #stayEager(entry: Entry, reason: string): void {
    entry.reason = reason;
    delete entry.last;
    this.#last = { mode: 'eager', reason };
  }
}

/**
 * Everything about arguments that a recording rests on: structure, kinds, dtypes and shapes, and which tensors are the
 * same one.
 */
function signatureOf(args: readonly Tree<Tensor | NdArray>[]): string {
  let text = '';
  const seen = new Map<object, number>();
  const walk = (node: Tree<Tensor | NdArray>): void => {
    if (isNode(node)) {
      const isList = Array.isArray(node);
      text += isList ? '[' : '{';
      for (const [name, child] of Object.entries(node)) {
        if (!isList) text += `${name}:`;
        walk(child as Tree<Tensor | NdArray>);
        text += ' ';
      }
      text += isList ? ']' : '}';
      return;
    }
    const leaf = node as Tensor | NdArray;
    text += `${leaf.dtype}[${leaf.shape.join()}]`;
    if (!(leaf instanceof Tensor)) {
      text += '*';
      return;
    }
    const known = seen.get(leaf.dataId);
    if (known === undefined) seen.set(leaf.dataId, seen.size);
    else text += `=${known}`;
  };
  for (const arg of args) {
    walk(arg);
    text += ';';
  }
  return text;
}
