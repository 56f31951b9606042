/**
 * WebGPU in Node for the peers that compute on it. Where there is no GPU, they run on one that does nothing: how many
 * dispatches a step makes, and what it takes in JavaScript, shows there too.
 */
import { optional } from './serve.js';

interface Dawn {
  create(options: string[]): GPU;
  readonly globals: { readonly [name: string]: unknown };
}

interface GPU {
  requestAdapter(options?: object): Promise<unknown>;
}

export interface Gpus {
  /** The one to measure on: a real one, or if there is none, `idle`. */
  readonly gpu: GPU;
  /** What the peers' backend is called in the answer: 'webgpu', or 'webgpu-null' where nothing is computed. */
  readonly backend: 'webgpu' | 'webgpu-null';
  /** Dawn's null backend: it takes every command and does nothing. */
  readonly idle: GPU;
  /** How many dispatches there have been, on either. */
  dispatches(): number;
}

/** Opens both, with WebGPU's classes among the globals, as tfjs expects them. Throws `Unavailable` without Dawn. */
export async function openGpus(): Promise<Gpus> {
  const name = 'webgpu';
  const dawn: Dawn = await optional(() => import(name), name);
  for (const [key, value] of Object.entries(dawn.globals)) {
    if (!(key in globalThis)) Object.defineProperty(globalThis, key, { value, configurable: true });
  }
  const { prototype } = dawn.globals.GPUComputePassEncoder as {
    prototype: { dispatchWorkgroups(...groups: number[]): void };
  };
  const { dispatchWorkgroups } = prototype;
  let count = 0;
  prototype.dispatchWorkgroups = function (...groups) {
    count++;
    dispatchWorkgroups.apply(this, groups);
  };
  const [real, idle] = [dawn.create([]), dawn.create(['backend=null'])];
  const isReal = await isHardware(real);
  return {
    gpu: isReal ? real : idle,
    backend: isReal ? 'webgpu' : 'webgpu-null',
    idle,
    dispatches: () => count,
  };
}

async function isHardware(gpu: GPU): Promise<boolean> {
  const adapter = (await gpu.requestAdapter()) as {
    info: { description: string; architecture: string };
  } | null;
  return (
    adapter !== null &&
    !/swiftshader|llvmpipe/i.test(`${adapter.info.architecture} ${adapter.info.description}`)
  );
}

/** The median time that a step takes until it waits for the GPU: its JavaScript, and the driver's own. */
export async function synchronousMs(step: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 40; i++) {
    const before = performance.now();
    const done = step();
    times.push(performance.now() - before);
    await done;
  }
  const late = times.slice(times.length >> 1).sort((a, b) => a - b);
  return late[late.length >> 1];
}
