import type { NdArray, Plan } from '@tenon-ml/core';
import { engine, type Tensor, type TensorInfo } from '@tensorflow/tfjs-core';
import type { EngineBackend } from '../engine_backend.js';
import { type Entry, viewOf } from '../entry.js';
import { epilogues } from '../kernels/epilogues.js';
import { type BufferInfo, CommandList, type Location } from './command_list.js';
import { fuseRelus } from './fuse.js';
import { layOut, lifetimesOf, type Schedule, scheduleOf } from './schedule.js';
import type { Buffer, Command, Place, Trace } from './trace.js';

/** An argument of the recorded call. */
export interface PlanInput {
  readonly buffer: number;
  /** Whether it comes as an NdArray, which a replay writes into the workspace. */
  readonly fromHost: boolean;
}

/** What lies outside of the plan: an input that is a tensor, or a new block for an output. */
type Slot = { readonly input: number } | Pick<Buffer, 'bytes' | 'dtype'>;

/** An NdArray's place in the workspace. */
type Upload = Pick<Buffer, 'bytes' | 'dtype'> & { readonly input: number; readonly offset: number };

/**
 * A recorded call. Its values in between lie in the engine's workspace, which all plans share, as only one runs at a
 * time; its constants in a block of its own; its outputs in new blocks at each replay.
 */
export class EnginePlan implements Plan {
  readonly commands: number;
  readonly bytes: number;
  readonly #backend: EngineBackend;
  readonly #outputs: readonly Place[];
  readonly #slots: readonly Slot[];
  /** The slot of each output. */
  readonly #slotOfOutput: readonly number[];
  readonly #uploads: readonly Upload[];
  readonly #constants: Entry;
  readonly #list: CommandList;
  #workspace = -1;
  #views: readonly { readonly input: number; readonly view: Float32Array }[] = [];

  constructor(backend: EngineBackend, trace: Trace, inputs: readonly PlanInput[], outputs: readonly Place[]) {
    this.#backend = backend;
    this.#outputs = outputs;
    const outputBuffers = outputs.map(({ buffer }) => buffer);
    const schedule = scheduleOf(trace, outputBuffers);
    const buffers: Buffer[] = [...trace.buffers];
    const slots: Slot[] = [];
    const slotOf = new Map<number, number>();
    const fromHost = new Map<number, number>();
    for (const [input, { buffer, fromHost: uploaded }] of inputs.entries()) {
      if (uploaded) fromHost.set(buffer, input);
      else if (!slotOf.has(buffer)) slotOf.set(buffer, slots.push({ input }) - 1);
    }
    // An output that is computed goes to a slot; one that is there already, a constant or an upload, is copied to one.
    const copies: Command[] = [];
    const copied = new Map<number, number>();
    this.#slotOfOutput = outputs.map(({ buffer }) => {
      const known = copied.get(buffer) ?? slotOf.get(buffer);
      if (known !== undefined) return known;
      const { bytes, dtype } = buffers[buffer];
      const slot = slots.push({ bytes, dtype }) - 1;
      if (schedule.constants.has(buffer) || fromHost.has(buffer)) {
        const target = buffers.push({ kind: 'value', bytes, dtype }) - 1;
        slotOf.set(target, slot);
        copied.set(buffer, slot);
        copies.push(copyCommand(buffer, target, bytes));
      } else {
        slotOf.set(buffer, slot);
      }
      return slot;
    });
    this.#slots = slots;

    const each = [...fuseRelus(schedule.each, outputBuffers, epilogues), ...copies];
    const elsewhere = (buffer: number): boolean => schedule.constants.has(buffer) || slotOf.has(buffer);
    const bytesOf = (buffer: number): number => buffers[buffer].bytes;
    const layout = layOut(lifetimesOf(each, elsewhere, bytesOf, fromHost));
    this.bytes = layout.bytes;
    this.commands = each.length;
    this.#uploads = [...fromHost].flatMap(([buffer, input]) => {
      const offset = layout.offsets.get(buffer);
      const { bytes, dtype } = buffers[buffer];
      return offset === undefined ? [] : [{ input, offset, bytes, dtype }];
    });

    const fixed = layOutConstants([...schedule.once, ...each], schedule, bytesOf);
    const locate = (buffer: number): Location => {
      const constant = fixed.offsets.get(buffer);
      if (constant !== undefined) return { base: 'constants', offset: constant };
      const slot = slotOf.get(buffer);
      if (slot !== undefined) return { base: 'slot', offset: slot };
      return { base: 'workspace', offset: layout.offsets.get(buffer) as number };
    };
    const info = (buffer: number): BufferInfo => ({ ...buffers[buffer], location: locate(buffer) });
    this.#constants = backend.take(Math.max(64, fixed.bytes), 'float32');
    try {
      const { pointer } = this.#constants;
      for (const [buffer, offset] of fixed.offsets) {
        const { values } = buffers[buffer];
        if (values) new Uint8Array(backend.pool.memory.buffer, pointer + offset, values.length).set(values);
      }
      if (schedule.once.length > 0) {
        const once = new CommandList(backend, schedule.once, info, pointer);
        try {
          once.run([]);
        } finally {
          once.dispose();
        }
      }
      this.#list = new CommandList(backend, each, info, pointer);
    } catch (error) {
      backend.release(this.#constants);
      throw error;
    }
  }

  run(inputs: readonly (Tensor | NdArray)[]): Tensor[] {
    const backend = this.#backend;
    const workspace = backend.workspace(this.bytes);
    if (workspace !== this.#workspace) this.#bind(workspace);
    const entries: Entry[] = [];
    try {
      for (const slot of this.#slots) {
        entries.push(
          'input' in slot
            ? backend.block(inputs[slot.input] as Tensor)
            : backend.takeLive(slot.bytes, slot.dtype),
        );
      }
      for (const { input, view } of this.#views) view.set((inputs[input] as NdArray<'float32'>).data);
      this.#list.run(entries.map(({ pointer }) => pointer));
    } catch (error) {
      for (const [i, entry] of entries.entries()) {
        if (!('input' in this.#slots[i])) backend.disposeData(entry.id, true);
      }
      throw error;
    }
    // A new block counts one reference already.
    const counted = new Set<number>();
    return this.#outputs.map(({ shape, dtype }, i) => {
      const slot = this.#slotOfOutput[i];
      const { id } = entries[slot];
      if ('input' in this.#slots[slot] || counted.has(slot)) backend.incRef(id);
      counted.add(slot);
      const info: TensorInfo = { dataId: id, shape: [...shape], dtype };
      return engine().makeTensorFromTensorInfo(info, backend);
    });
  }

  dispose(): void {
    this.#list.dispose();
    this.#backend.release(this.#constants);
  }

  #bind(workspace: number): void {
    this.#workspace = workspace;
    this.#list.bind(workspace);
    const { pool } = this.#backend;
    this.#views = this.#uploads.map(({ input, offset, bytes, dtype }) => ({
      input,
      view: viewOf(pool, workspace + offset, bytes, dtype) as Float32Array,
    }));
  }
}

function copyCommand(from: number, to: number, bytes: number): Command {
  return {
    kind: 'launch',
    kernel: 'copy',
    parts: 1,
    inputs: [from],
    outputs: [to],
    integers: [bytes, bytes],
  };
}

/** The constants that commands touch, side by side: they all stay. */
function layOutConstants(
  commands: readonly Command[],
  { constants }: Schedule,
  bytesOf: (buffer: number) => number,
): { offsets: ReadonlyMap<number, number>; bytes: number } {
  const offsets = new Map<number, number>();
  let total = 0;
  for (const { inputs, outputs } of commands) {
    for (const buffer of [...inputs, ...outputs]) {
      if (!constants.has(buffer) || offsets.has(buffer)) continue;
      offsets.set(buffer, total);
      total += Math.ceil(bytesOf(buffer) / 64) * 64;
    }
  }
  return { offsets, bytes: total };
}
