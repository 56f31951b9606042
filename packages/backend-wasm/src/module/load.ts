import { TenonError } from '@tenon-ml/core';
import { type KernelName, kernelNames, kernelsBase64 } from './kernels.js';

/** A kernel: does the parts from `begin` up to `end` of the work that the words at `args` describe. */
export type KernelFunction = (args: number, begin: number, end: number) => void;

/** The kernels, over one memory. */
export interface Kernels {
  readonly functions: { readonly [K in KernelName]: KernelFunction };
  /** Where each stands in the function table: what commands name it by. */
  readonly places: { readonly [K in KernelName]: number };
  /** Runs the commands from `list` up to `end`. See `assembly/run.ts`. */
  readonly run: (list: number, end: number) => void;
}

/** Compiles the kernels. Throws `BACKEND_UNAVAILABLE` where the host can't. */
export async function compileKernels(): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytesOf(kernelsBase64));
  } catch (cause) {
    throw new TenonError({
      code: 'BACKEND_UNAVAILABLE',
      where: 'wasm',
      message: 'this host does not compile WebAssembly with SIMD and shared memory',
      hint: "Node 20.19 or newer and current browsers do; a page's content security policy has to allow 'wasm-unsafe-eval'.",
      cause,
    });
  }
}

/** How kernels are called: as they are, not at all, or with a clock. */
export interface Instrumentation {
  /** Kernels do nothing: what is left is the JavaScript around them. */
  readonly dryRun?: boolean;
  /** Told of each kernel and of the milliseconds that it took. Recorded commands are then called one by one. */
  readonly profile?: (kernel: KernelName, milliseconds: number) => void;
}

/** Binds the kernels to a memory. */
export function instantiateKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  { dryRun = false, profile }: Instrumentation = {},
): Kernels {
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: kernelNames.length + 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory, table } });
  const functions: { [name: string]: KernelFunction } = {};
  const places: { [name: string]: number } = {};
  for (const [i, name] of kernelNames.entries()) {
    // Place 0 stays empty: a command of zeros traps.
    places[name] = i + 1;
    table.set(i + 1, exports[name]);
    const kernel = exports[name] as KernelFunction;
    functions[name] = dryRun ? () => {} : profile ? timed(kernel, name, profile) : kernel;
  }
  const run = exports.run as Kernels['run'];
  return {
    functions: functions as Kernels['functions'],
    places: places as Kernels['places'],
    run: dryRun ? () => {} : profile ? runOneByOne(memory, functions) : run,
  };
}

function timed(
  kernel: KernelFunction,
  name: KernelName,
  profile: NonNullable<Instrumentation['profile']>,
): KernelFunction {
  return (args, begin, end) => {
    const before = performance.now();
    kernel(args, begin, end);
    profile(name, performance.now() - before);
  };
}

/** What `run` in `assembly/run.ts` does, from outside. */
function runOneByOne(
  memory: WebAssembly.Memory,
  functions: { readonly [name: string]: KernelFunction },
): Kernels['run'] {
  return (list, end) => {
    const words = new Uint32Array(memory.buffer);
    for (let at = list / 4; at < end / 4; at += 3 + words[at + 2]) {
      functions[kernelNames[words[at] - 1]](4 * (at + 3), 0, words[at + 1]);
    }
  };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
