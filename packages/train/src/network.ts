import {
  type Backend,
  createKey,
  type NdArray,
  preprocess,
  read,
  release,
  scalar,
  type TensorSpec,
  type Transform,
  type Tree,
  treeLeaves,
  treeMap,
  upload,
} from '@tenon-ml/core';
import type { Dataset } from '@tenon-ml/data';
import type { Checkpoint, HostCarry, StoredCheckpoint } from './checkpoint.js';
import { type Batch, noBatches } from './evaluate.js';
import { checkIdentity, type Identity } from './identity.js';
import type { LossScalingSpec } from './loss_scaling.js';
import type { Carry, StepParts } from './step.js';

/** Parameters and states on the host. */
export type Weights = Pick<HostCarry, 'params' | 'state'>;

/** A network whose input is known: its weights and the optimizer's state, on the backend. */
export interface Network {
  readonly input: Tree<TensorSpec>;
  readonly output: Tree<TensorSpec>;
  /** What a checkpoint of this network belongs to. */
  readonly identity: Identity;
  /** The number of trained numbers. */
  readonly parameters: number;
  /** What the next step takes; whoever donates it puts back what came out. */
  carry: Carry;
  weights(): Promise<Weights>;
  setWeights(weights: Weights): void;
  hostCarry(): Promise<HostCarry>;
  /** Takes over a checkpoint. Throws `CHECKPOINT_INVALID` where it is another experiment's. */
  load(stored: StoredCheckpoint, where: string): Pick<Checkpoint, 'best'>;
  /** Forgets that a step was not finite: its parameters were not touched. */
  clearHalt(): void;
  dispose(): void;
}

/** Draws the first weights, and puts them on the backend. */
export function createNetwork(
  parts: StepParts,
  preprocessing: readonly Transform[],
  seed: number,
  lossScaling: LossScalingSpec,
  input: Tree<TensorSpec>,
): Network {
  const { model, loss, optimizer, metrics, backend, precision = 'float32' } = parts;
  const { params, state, output } = model.init(createKey(seed).foldIn('params'), input);
  const templates: HostCarry = { params, state, optimizer: optimizer.init(params) };
  const identity: Identity = {
    model: model.spec,
    optimizer: optimizer.transform.spec,
    seed,
    input,
    loss: loss.spec,
    metrics: metrics.map(({ name }) => name),
    preprocessing: preprocessing.map(({ spec }) => spec),
    precision,
    lossScaling,
  };

  const network: Network = {
    input,
    output,
    identity,
    parameters: treeLeaves<NdArray>(params).reduce((sum, { data }) => sum + data.length, 0),
    carry: onDevice(templates, backend),
    async weights() {
      const { params, state } = network.carry;
      return read({ params, state }, { keep: true });
    },
    setWeights(weights) {
      const { params, state } = network.carry;
      network.carry = { ...network.carry, ...upload(weights, backend) };
      release({ params, state });
    },
    async hostCarry() {
      const { params, state, optimizer } = network.carry;
      return read({ params, state, optimizer }, { keep: true });
    },
    load(stored, where) {
      checkIdentity(identity, stored.identity, where);
      const { carry, best } = stored.fill(templates);
      const before = network.carry;
      network.carry = onDevice(carry, backend);
      release(before);
      return { best };
    },
    clearHalt() {
      release(network.carry.halted);
      network.carry = { ...network.carry, halted: upload(scalar(0), backend) };
    },
    dispose: () => release(network.carry),
  };
  return network;
}

/** What a network takes, by the first batch: its shapes and dtypes after preprocessing, for batches of any size. */
export async function inferInput(
  batches: Dataset<Batch>,
  preprocessing: readonly Transform[],
): Promise<Tree<TensorSpec>> {
  const iterator = batches.iterator();
  try {
    const first = await iterator.next();
    if (first.done) throw noBatches('training data');
    const input = preprocess({ preprocessing, input: [] }, first.value.input);
    return treeMap<NdArray, TensorSpec>(input, ({ dtype, shape }) => ({
      // Images come as small integers: `preprocess` widens them, without loss, where a layer takes float32.
      dtype: /^u?int(8|16)$/.test(dtype) ? 'float32' : dtype,
      shape: [null, ...shape.slice(1)],
    }));
  } finally {
    await iterator.return();
  }
}

function onDevice(carry: HostCarry, backend: Backend): Carry {
  return upload({ ...carry, halted: scalar(0) }, backend);
}
