import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  type NdArray,
  type Optimizer,
  type Params,
  read,
  scalars,
  tfjsBackend,
  valueAndGrad,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

export const backend = tfjsBackend('cpu');

export type HostTree = Params<NdArray>;
export type DeviceTree = Params<Tensor>;
type FeedTree = Params<NdArray | Tensor>;

/** `optimizer.update` compiled, with parameters and state donated: gradients are given. */
export function compileUpdate(optimizer: Optimizer) {
  const update = compile(
    (params: DeviceTree, state: DeviceTree, grads: DeviceTree, numbers: { [name: string]: Tensor }) =>
      optimizer.update(grads, state, params, numbers),
    { backend, donate: [0, 1], name: 'update' },
  );
  return update as unknown as (
    params: FeedTree,
    state: FeedTree,
    grads: FeedTree,
    scalars: { readonly [name: string]: NdArray },
  ) => { params: DeviceTree; state: DeviceTree };
}

/** A step down the gradient of `f`, compiled, with parameters and state donated. */
export function compileDescent(optimizer: Optimizer, f: (params: DeviceTree) => Tensor) {
  const step = compile(
    (params: DeviceTree, state: DeviceTree, numbers: { [name: string]: Tensor }) => {
      const { value, grads } = valueAndGrad(f)(params);
      return { ...optimizer.update(grads, state, params, numbers), value };
    },
    { backend, donate: [0, 1], name: 'descent' },
  );
  return step as unknown as (
    params: FeedTree,
    state: FeedTree,
    scalars: { readonly [name: string]: NdArray },
  ) => { params: DeviceTree; state: DeviceTree; value: Tensor };
}

/** Parameters and state after steps with these gradients, on the host; `state` in the place of a new one. */
export async function runUpdates(
  optimizer: Optimizer,
  initial: HostTree,
  gradients: readonly HostTree[],
  state: FeedTree = optimizer.init(initial),
): Promise<{ params: HostTree; state: HostTree }> {
  const update = compileUpdate(optimizer);
  let carried: { params: FeedTree; state: FeedTree } = { params: initial, state };
  for (const [step, grads] of gradients.entries()) {
    carried = update(carried.params, carried.state, grads, scalars(optimizer.scalars(step)));
  }
  return (await read(carried as unknown as DeviceTree)) as unknown as { params: HostTree; state: HostTree };
}
