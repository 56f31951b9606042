import {
  type Backend,
  checkSpec,
  type ModelArtifact,
  type NdArray,
  type Params,
  release,
  TenonError,
  treeZip,
  upload,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Parameters and state of a network, on a backend. */
export type Weights = { readonly params: Params<Tensor>; readonly state: Params<Tensor> };

/** The weights in use. Those that are replaced stay until the last call that began with them has ended. */
export interface HeldWeights {
  use<T>(call: (weights: Weights) => Promise<T>): Promise<T>;
  replace(params: Params<NdArray>, state: Params<NdArray>): void;
  dispose(): void;
}

interface Held {
  readonly weights: Weights;
  users: number;
  retired: boolean;
}

export function holdWeights(artifact: ModelArtifact, backend: Backend): HeldWeights {
  const onDevice = (params: Params<NdArray>, state: Params<NdArray>): Held => ({
    weights: upload({ params, state }, backend),
    users: 0,
    retired: false,
  });
  let current: Held | undefined = onDevice(artifact.params, artifact.state);
  const free = (held: Held): void => {
    if (held.retired && held.users === 0) release(held.weights);
  };
  const retire = (held: Held): void => {
    held.retired = true;
    free(held);
  };
  const checked = (): Held => {
    if (current) return current;
    throw new TenonError({
      code: 'TENSOR_CONSUMED',
      where: 'explainer',
      message: 'it has been disposed',
      hint: 'Open another one with openExplainer.',
    });
  };
  return {
    async use(call) {
      const held = checked();
      held.users++;
      try {
        return await call(held.weights);
      } finally {
        held.users--;
        free(held);
      }
    },
    replace(params, state) {
      const before = checked();
      const check = (wanted: NdArray, got: NdArray, path: string): void =>
        checkSpec(got, wanted, path, 'update() takes the weights of the network that was opened.');
      treeZip<NdArray, NdArray, void>(artifact.params, params, check);
      treeZip<NdArray, NdArray, void>(artifact.state, state, check);
      current = onDevice(params, state);
      retire(before);
    },
    dispose() {
      const held = current;
      current = undefined;
      if (held) retire(held);
    },
  };
}
