import {
  type Backend,
  createKey,
  type Json,
  type NdArray,
  read,
  release,
  scalar,
  TenonError,
  type TensorSpec,
  type Tree,
  treeLeaves,
  upload,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Checkpoint, HostCarry, Identity, StoredCheckpoint } from './checkpoint.js';
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
export function createNetwork(parts: StepParts, seed: number, input: Tree<TensorSpec>): Network {
  const { model, optimizer, backend } = parts;
  const { params, state, output } = model.init(createKey(seed).foldIn('params'), input);
  const templates: HostCarry = { params, state, optimizer: optimizer.init(params) };
  const identity: Identity = { model: model.spec, optimizer: optimizer.transform.spec, seed, input };

  const network: Network = {
    input,
    output,
    identity,
    parameters: treeLeaves<NdArray>(params).reduce((sum, { data }) => sum + data.length, 0),
    carry: onDevice(templates, backend),
    async weights() {
      const { params, state } = network.carry;
      return (await read({ params, state }, { keep: true })) as Weights;
    },
    setWeights(weights) {
      const { params, state } = network.carry;
      network.carry = { ...network.carry, ...(upload(weights, backend) as Pick<Carry, 'params' | 'state'>) };
      release({ params, state });
    },
    async hostCarry() {
      const { params, state, optimizer } = network.carry;
      return (await read({ params, state, optimizer }, { keep: true })) as HostCarry;
    },
    load(stored, where) {
      checkIdentity(identity, stored.identity, where);
      const { carry, best } = stored.fill(templates);
      release(network.carry);
      network.carry = onDevice(carry, backend);
      return { best };
    },
    clearHalt() {
      release(network.carry.halted);
      network.carry = { ...network.carry, halted: upload(scalar(0), backend) as Tensor };
    },
    dispose: () => release(network.carry),
  };
  return network;
}

function onDevice(carry: HostCarry, backend: Backend): Carry {
  return upload({ ...carry, halted: scalar(0) }, backend) as Carry;
}

function checkIdentity(mine: Identity, stored: Identity, where: string): void {
  for (const part of ['model', 'optimizer', 'seed', 'input'] as const) {
    const [now, then] = [mine[part] as Json, stored[part] as Json].map((value) => JSON.stringify(value));
    if (now === then) continue;
    throw new TenonError({
      code: 'CHECKPOINT_INVALID',
      where,
      expected: `the ${part} that the run began with, ${abbreviate(then)}`,
      got: abbreviate(now),
      hint: 'The experiment was changed since: start a new run.',
    });
  }
}

function abbreviate(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
