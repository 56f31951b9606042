import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { benchFolder, bundle } from './bundle.mjs';
import type { Command } from './peer_process.js';

/** Another library (or ours), on one of its backends. */
export interface PeerSource {
  readonly name: string;
  readonly backend: string;
  /** The file of peers/ that is run. */
  readonly program: string;
  /** Whether it has one thread in Node, whatever it is told. */
  readonly singleThreaded?: boolean;
  /** Whether it runs only where it is asked for by its name and backend. */
  readonly byName?: boolean;
  /**
   * By what it computes on a GPU: such peers are compared with each other, those on webgpu by the suite of that name, those
   * on cuda by their own names.
   */
  readonly gpu?: 'webgpu' | 'cuda';
}

export const peerSources: readonly PeerSource[] = [
  { name: 'tenon', backend: 'wasm', program: 'tenon.ts' },
  { name: 'tfjs-layers', backend: 'cpu', program: 'tfjs-layers.ts', singleThreaded: true },
  { name: 'tfjs-layers', backend: 'wasm', program: 'tfjs-layers.ts', singleThreaded: true },
  { name: 'tfjs-node', backend: 'tensorflow', program: 'tfjs-layers.ts' },
  { name: 'jax-js', backend: 'wasm', program: 'jax-js.ts', singleThreaded: true },
  { name: 'pytorch', backend: 'cpu', program: 'pytorch.py' },
  { name: 'keras', backend: 'tensorflow', program: 'keras.py' },
  { name: 'tensorflow', backend: 'eager', program: 'tensorflow.py' },
  { name: 'tenon', backend: 'webgpu', program: 'tenon-webgpu.ts', singleThreaded: true, gpu: 'webgpu' },
  { name: 'tfjs-ops', backend: 'webgpu', program: 'tfjs-ops.ts', singleThreaded: true, gpu: 'webgpu' },
  { name: 'tfjs-layers', backend: 'webgpu', program: 'tfjs-layers.ts', singleThreaded: true, gpu: 'webgpu' },
  { name: 'jax-js', backend: 'webgpu', program: 'jax-js.ts', singleThreaded: true, gpu: 'webgpu' },
  { name: 'tenon', backend: 'tensorflow', program: 'tenon-cuda.ts', byName: true },
  { name: 'tenon', backend: 'cuda', program: 'tenon-cuda.ts', gpu: 'cuda' },
  { name: 'tensorflow', backend: 'cuda', program: 'tensorflow.py', gpu: 'cuda' },
  { name: 'keras', backend: 'cuda', program: 'keras.py', gpu: 'cuda' },
];

/** Bundles the programs that need it, once each. */
export class Programs {
  readonly #bundles = new Map<string, Promise<string>>();
  readonly #files: string[] = [];

  constructor(private readonly python: string) {}

  async command({ program, backend, gpu }: PeerSource, threads: number): Promise<Command> {
    const path = join(benchFolder, 'peers', program);
    const env = environment(threads, gpu === 'cuda');
    const args = [String(threads), backend];
    if (program.endsWith('.py')) return { file: this.python, args: [path, ...args], env };
    let bundled = this.#bundles.get(path);
    if (!bundled) {
      bundled = bundle(path).then((file) => {
        this.#files.push(file);
        return file;
      });
      this.#bundles.set(path, bundled);
    }
    return { file: process.execPath, args: ['--enable-source-maps', await bundled, ...args], env };
  }

  /** Removes the bundles that were made. */
  clear(): void {
    for (const file of this.#files) rmSync(file, { force: true });
  }
}

/** Threads as every library reads them, no NVIDIA GPU but where it is wanted, and nothing that makes a library choose kernels for another processor. */
function environment(threads: number, onCuda: boolean): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' };
  if (!onCuda) env.CUDA_VISIBLE_DEVICES = '';
  for (const name of Object.keys(env))
    if (/^(OPENBLAS|MKL|BLIS|NVPL|ONEDNN|DNNL|ATEN|OMP)_/.test(name)) delete env[name];
  for (const library of ['OMP', 'MKL', 'OPENBLAS', 'NUMEXPR', 'VECLIB_MAXIMUM'])
    env[`${library}_NUM_THREADS`] = String(threads);
  return env;
}
