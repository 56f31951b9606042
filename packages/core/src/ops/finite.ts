import { add, isFinite as isFiniteElement, mul, scalar, sum, type Tensor } from '@tensorflow/tfjs-core';
import { definePrimitive, type OpInputs, type PrimitiveDefinition } from '../op.js';

/** Whether every element of x0 … is finite, as a bool scalar: see `allFinite`. */
export const allFiniteDefinition: PrimitiveDefinition<OpInputs, { readonly count: number }> = {
  name: 'AllFinite',
  reference(inputs) {
    // x·0 is 0 for every finite x and NaN for the others, so one sum asks about all of a tensor, and can't overflow.
    const doubts = Object.values(inputs).map((x) => sum(mul(x, 0)));
    return [isFiniteElement(doubts.reduce((a, b) => add(a, b), scalar(0)))];
  },
};

const allFinitePrimitive = definePrimitive(allFiniteDefinition);

/** A bool scalar: whether every element of these float32 tensors is finite. True where there are none. */
export function allFinite(tensors: readonly Tensor[]): Tensor {
  const inputs: { [name: string]: Tensor } = {};
  for (const [index, tensor] of tensors.entries()) inputs[`x${index}`] = tensor;
  return allFinitePrimitive(inputs, { count: tensors.length })[0];
}
