import { wasm } from '@tenon-ml/backend-wasm';
import { compile, type Leaf, type NdArray, type Params, read, scalar, treeEntries } from '@tenon-ml/core';
import { findBackend, type Tensor } from '@tensorflow/tfjs-core';
import {
  adamCorrection,
  initialState,
  randomBatch,
  type TrainingState,
  trainStep,
} from './digits_network.js';

/** FNV-1a of the bytes of each array of a tree, by its path. */
type Hashes = { readonly [path: string]: string };

/** What a training came to, to be compared across hosts. */
export interface DigitsRun {
  /** Of what goes in, by step: parameters and batches, which are drawn in JavaScript, and Adam's factors. */
  readonly drawn: { readonly [name: string]: Hashes };
  readonly losses: readonly number[];
  /** Of parameters and moments at the end. */
  readonly trained: Hashes;
  /** Of tfjs-backend-cpu, in JavaScript: kernels whose results may depend on the host's `Math`. */
  readonly kernelsInJavaScript: readonly string[];
}

/** Trains the digits CNN (convolutions, pools, relu, dense layers, softmax cross-entropy, Adam) for some steps. */
export async function trainDigits(steps: number): Promise<DigitsRun> {
  const backend = wasm();
  await backend.init();
  const engine = findBackend(backend.engineName) as unknown as { runHostKernel(name: string): unknown };
  const kernelsInJavaScript = new Set<string>();
  const runHostKernel = engine.runHostKernel;
  engine.runHostKernel = function (name, ...rest) {
    kernelsInJavaScript.add(name);
    return runHostKernel.call(this, name, ...rest);
  };

  const step = compile(trainStep, { backend, donate: [0] });
  const initial = initialState(1, 16);
  const drawn: { [name: string]: Hashes } = { params: hashes(initial.params) };
  let state: Parameters<typeof step>[0] = initial;
  const losses: number[] = [];
  for (let i = 1; i <= steps; i++) {
    const { images, labels } = randomBatch(i, 16);
    const factor = scalar(adamCorrection(i));
    drawn[`step ${i}`] = hashes({ images, labels, factor });
    const result = step(state, images, labels, factor);
    state = result.state;
    losses.push(Number((await read(result.loss)).data[0]));
  }
  const trained = hashes(await read(state as TrainingState<Tensor>));
  await backend.dispose();
  return { drawn, losses, trained, kernelsInJavaScript: [...kernelsInJavaScript] };
}

function hashes(tree: object): Hashes {
  const entries = treeEntries<NdArray>(tree as Params<NdArray & Leaf>);
  return Object.fromEntries(entries.map(([path, { data }]) => [path, fnv1a(data)]));
}

function fnv1a({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}
