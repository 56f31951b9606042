import {
  clone,
  customGrad,
  engine,
  getKernel,
  type NamedAttrMap,
  type NamedTensorMap,
  type Tensor,
} from '@tensorflow/tfjs-core';
import { internals } from './engine.js';
import { hostValue } from './host_values.js';
import type { NdArray } from './ndarray.js';

/** Tensors by name: what an op takes. */
export type OpInputs = { readonly [name: string]: Tensor };
/** Constants of a call: part of what a recording is made of, so they don't change from step to step. */
export type OpAttrs = { readonly [name: string]: number | string | boolean | readonly number[] };

/** An op: its name, what it means, and its gradient. See `defineOp`. */
export interface OpDefinition<Inputs extends OpInputs, Attrs extends OpAttrs> {
  /** The kernel's name: a backend that registers one under it (with tfjs's `registerKernel`) runs it. */
  readonly name: string;
  /** The op in plain tfjs ops: what it means, and what runs where a backend has no kernel. Or `host`. */
  readonly reference?: (inputs: Inputs, attrs: Attrs) => Tensor;
  /** The op as a function of host values, for what tfjs ops can't say; its result enters the step as an input. */
  readonly host?: (inputs: { readonly [K in keyof Inputs]: NdArray }, attrs: Attrs) => NdArray;
  /**
   * Gradients with respect to the inputs that have one, given that of the output. `output` is what the forward pass
   * gave. Absent: the op is differentiated through its reference, or, for a host op, is constant.
   */
  readonly gradient?: (
    dy: Tensor,
    saved: { inputs: Inputs; output: Tensor },
    attrs: Attrs,
  ) => Partial<Record<keyof Inputs, Tensor>>;
}

/** An op: a pure function of tensors, with the constants of the call. */
export type Op<Inputs extends OpInputs, Attrs extends OpAttrs> = (inputs: Inputs, attrs: Attrs) => Tensor;

/**
 * Declares an op that tfjs lacks or does slowly: its name, its meaning (`reference` or `host`) and its gradient.
 * Backends bring kernels for it; tests hold each of them against the reference.
 *
 * Under a gradient tape, an op with a gradient runs the kernel and is differentiated by that gradient. An op without one
 * runs its reference there, kernel or not, since tfjs can't differentiate a kernel that it knows no gradient of.
 */
export function defineOp<Inputs extends OpInputs, Attrs extends OpAttrs>(
  definition: OpDefinition<Inputs, Attrs>,
): Op<Inputs, Attrs> {
  const { name, gradient } = definition;
  const hasKernel = (): boolean => getKernel(name, engine().backendName) !== undefined;

  const forward = (inputs: Inputs, attrs: Attrs): Tensor => {
    if (!hasKernel()) return reference(definition, inputs, attrs);
    return engine().runKernel(
      name,
      inputs as unknown as NamedTensorMap,
      attrs as unknown as NamedAttrMap,
    ) as Tensor;
  };
  if (gradient) return differentiable(forward, gradient);

  // A tape can't follow a kernel that has no gradient: there, the reference runs, or nothing is followed.
  const followed = definition.reference ?? differentiable(forward, () => ({}));
  return (inputs, attrs) =>
    internals().isTapeOn() && hasKernel() ? followed(inputs, attrs) : forward(inputs, attrs);
}

function differentiable<Inputs extends OpInputs, Attrs extends OpAttrs>(
  forward: Op<Inputs, Attrs>,
  gradient: NonNullable<OpDefinition<Inputs, Attrs>['gradient']>,
): Op<Inputs, Attrs> {
  return (inputs, attrs) => {
    const names = Object.keys(inputs);
    const run = customGrad((...args) => {
      const save = args.pop() as unknown as (tensors: Tensor[]) => void;
      const given = args as unknown as Tensor[];
      const result = forward(inputs, attrs);
      const output = given.includes(result) ? clone(result) : result;
      save([...given, output]);
      return {
        value: output,
        gradFunc: (dy: Tensor, saved: Tensor[]) => {
          const savedInputs = Object.fromEntries(names.map((key, i) => [key, saved[i]])) as unknown as Inputs;
          const grads = gradient(dy, { inputs: savedInputs, output: saved[names.length] }, attrs);
          // tfjs frees the gradients one by one while it adds them up: none may be another's, or dy itself.
          return names.map((key, i) => {
            const grad = grads[key];
            return grad ? clone(grad) : zerosOf(saved[i]);
          });
        },
      };
    });
    return run(...names.map((key) => inputs[key]));
  };
}

/** The meaning of an op, whatever kernels there are: for conformance tests. */
export function reference<Inputs extends OpInputs, Attrs extends OpAttrs>(
  definition: OpDefinition<Inputs, Attrs>,
  inputs: Inputs,
  attrs: Attrs,
): Tensor {
  if (definition.reference) return definition.reference(inputs, attrs);
  if (!definition.host)
    throw new TypeError(`The op ${definition.name} has neither a reference nor a host function.`);
  const values = Object.fromEntries(Object.entries(inputs).map(([key, tensor]) => [key, hostValue(tensor)]));
  const result = definition.host(values as { [K in keyof Inputs]: NdArray }, attrs);
  return internals().makeTensor(result.data, result.shape, result.dtype);
}

function zerosOf(tensor: Tensor): Tensor {
  return internals().makeTensor(new Float32Array(tensor.size), tensor.shape, 'float32');
}
