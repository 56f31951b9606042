import type { Slice } from '../device.js';
import type { GpuBackend } from '../gpu_backend.js';
import { joinGraphs, linearGroups, MAP } from '../graph.js';
import { joinParts, PARTS } from '../parts.js';
import { HOST_SCALARS, type Joined, type Program } from '../program.js';
import type { ArenaPlan } from './donation.js';
import type { PartsStep, PlanStep } from './merge.js';
import { type Binding, NO_BUFFER, type Places } from './placing.js';
import type { PlanMemory } from './plan_memory.js';

/** A dispatch, ready but for buffers that change from replay to replay. */
export interface Encoded {
  /** For profiles: what it computes, in a word or two. */
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly groups: readonly [number, number, number];
  readonly bound: readonly Binding[];
  readonly uniforms: readonly Slice[];
  /** The slots among what is bound; if there are none, it is the same in each replay. */
  readonly slots: readonly number[];
  readonly variants: Map<string, GPUBindGroup>;
}

/** Variants of a dispatch's bindings that are kept. A loop needs two: what it reads and what it writes take turns. */
const VARIANTS = 8;

/** Makes dispatches of steps: compiles their programs, and writes the uniforms of all of them to one buffer. */
export function encode(
  backend: GpuBackend,
  memory: PlanMemory,
  hostBuffer: GPUBuffer,
  steps: readonly PlanStep[],
  places: Places,
  arenas: readonly ArenaPlan[],
): Encoded[] {
  const { pipelines } = backend;
  const prepared = steps.map((step) =>
    step.kind === 'parts' ? prepareParts(step, places, arenas) : prepare(step),
  );
  const uniforms = writeUniforms(backend, memory, prepared);
  return prepared.map((step, k): Encoded => {
    const bound = step.bound.map((number) => places.locate(number));
    return {
      name: step.name,
      pipeline: step.foreign ?? pipelines.get(step.program, step.joined),
      layout: step.foreign?.getBindGroupLayout(0) ?? pipelines.bindings(step.program, step.joined),
      groups: step.groups,
      bound,
      uniforms: [
        ...uniforms[k],
        ...(step.joined?.host ? [{ buffer: hostBuffer, offset: 0, size: 4 * HOST_SCALARS }] : []),
      ],
      slots: [...new Set(bound.flatMap((place) => ('slot' in place ? place.slot : [])))],
      variants: new Map(),
    };
  });
}

/** Where a slot begins. */
export type Where = Pick<Slice, 'buffer' | 'offset'>;

/** What a dispatch binds in a replay whose slots begin there. */
export function bindGroup(
  backend: GpuBackend,
  { layout, bound, uniforms, slots, variants }: Encoded,
  slices: readonly Where[],
): GPUBindGroup {
  let key = '';
  for (const slot of slots) key += `${backend.numberOf(slices[slot].buffer)}+${slices[slot].offset} `;
  const known = variants.get(key);
  if (known) return known;
  if (variants.size >= VARIANTS) variants.clear();
  const resources = bound.map((place): Slice => {
    if (!('slot' in place)) return place;
    const { buffer, offset } = slices[place.slot];
    return { buffer, offset: offset + place.offset, size: place.bytes };
  });
  const group = backend.commands.gpu.createBindGroup({
    layout,
    entries: [...resources, ...uniforms].map((resource, binding) => ({ binding, resource })),
  });
  variants.set(key, group);
  return group;
}

/** A step as a program, what it binds (outputs, then inputs), and its uniforms. */
interface Prepared {
  readonly name: string;
  /** tfjs's, which is compiled already. */
  readonly foreign: GPUComputePipeline | undefined;
  readonly program: Program;
  readonly joined: Joined | undefined;
  readonly bound: readonly number[];
  readonly uniforms: Uint8Array;
  readonly groups: readonly [number, number, number];
}

function prepare(step: Exclude<PlanStep, PartsStep>): Prepared {
  if (step.kind === 'tfjs') {
    const { pipeline, uniforms, groups, inputs, outputs, key } = step;
    return {
      name: `tfjs's ${key.split('_')[0]}`,
      foreign: pipeline,
      program: MAP,
      joined: undefined,
      bound: [...outputs, ...inputs],
      uniforms,
      groups,
    };
  }
  const { launch, tail, heads } = step;
  const program = launch?.program ?? MAP;
  const joins = tail !== undefined || heads.size > 0;
  const joined = joins ? joinGraphs(program, { ...(tail && { tail }), heads }) : undefined;
  const own = launch?.inputs.map((buffer, k) => (heads.has(k) ? NO_BUFFER : buffer)) ?? [];
  const words = [...(launch?.words ?? [tail?.count ?? 0]), ...(joined?.words ?? [])];
  return {
    name: launch ? launch.program.key : 'elementwise',
    foreign: undefined,
    program,
    joined: joined?.joined,
    bound: [...(joined?.outputs ?? launch?.outputs ?? []), ...own, ...(joined?.inputs ?? [])],
    uniforms: new Uint8Array(Uint32Array.from(words).buffer),
    groups: launch?.groups ?? linearGroups(tail?.count ?? 0),
  };
}

function prepareParts({ graphs, arena }: PartsStep, places: Places, arenas: readonly ArenaPlan[]): Prepared {
  const { element } = arenas[arena].layout;
  const { joined, outputs, inputs, words, groups } = joinParts(
    graphs,
    places.regionOf(arena),
    element,
    (buffer) => places.where(buffer),
  );
  return {
    name: 'elementwise, in place',
    foreign: undefined,
    program: PARTS,
    joined,
    bound: [...outputs, ...inputs],
    uniforms: new Uint8Array(Uint32Array.from(words).buffer),
    groups,
  };
}

/** Writes the uniforms of all steps to one buffer; the slice of each, if it has any. */
function writeUniforms(
  { commands: { gpu } }: GpuBackend,
  memory: PlanMemory,
  prepared: readonly Prepared[],
): Slice[][] {
  const alignment = gpu.limits.minUniformBufferOffsetAlignment;
  let total = 0;
  const offsets = prepared.map(({ uniforms }) => {
    const offset = total;
    total = Math.ceil((total + uniforms.byteLength) / alignment) * alignment;
    return offset;
  });
  if (total === 0) return prepared.map(() => []);
  const block = new Uint8Array(total);
  for (const [k, { uniforms }] of prepared.entries()) block.set(uniforms, offsets[k]);
  const buffer = memory.create(total, 0x40 | 0x8 /* UNIFORM, COPY_DST */);
  gpu.queue.writeBuffer(buffer, 0, block);
  return prepared.map(({ uniforms }, k) =>
    uniforms.byteLength > 0 ? [{ buffer, offset: offsets[k], size: uniforms.byteLength }] : [],
  );
}
