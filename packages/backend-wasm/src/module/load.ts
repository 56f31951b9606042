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

/** Binds the kernels to a memory. With `dryRun` they do nothing: what is left is the JavaScript around them. */
export function instantiateKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  { dryRun = false } = {},
): Kernels {
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: kernelNames.length + 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory, table } });
  const functions: { [name: string]: KernelFunction } = {};
  const places: { [name: string]: number } = {};
  for (const [i, name] of kernelNames.entries()) {
    // Place 0 stays empty: a command of zeros traps.
    places[name] = i + 1;
    table.set(i + 1, exports[name]);
    functions[name] = dryRun ? () => {} : (exports[name] as KernelFunction);
  }
  return {
    functions: functions as Kernels['functions'],
    places: places as Kernels['places'],
    run: dryRun ? () => {} : (exports.run as Kernels['run']),
  };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
