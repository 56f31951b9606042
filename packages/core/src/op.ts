import {
  clone,
  customGrad,
  engine,
  getKernel,
  type NamedAttrMap,
  type NamedTensorMap,
  type Tensor,
  tidy,
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

  const forward = (inputs: Inputs, attrs: Attrs): Tensor =>
    hasKernel(name) ? (runKernel(name, inputs, attrs) as Tensor) : reference(definition, inputs, attrs);
  if (gradient) return differentiable(forward, gradient);

  // A tape can't follow a kernel that has no gradient: there, the reference runs, or nothing is followed.
  const followed = definition.reference ?? differentiable(forward, () => ({}));
  return (inputs, attrs) =>
    internals().isTapeOn() && hasKernel(name) ? followed(inputs, attrs) : forward(inputs, attrs);
}

/** An op of several outputs without a gradient of its own: its name, and what it means. See `definePrimitive`. */
export interface PrimitiveDefinition<Inputs extends OpInputs, Attrs extends OpAttrs> {
  /** The kernel's name, as an op's. Its kernel gives the outputs as a list, in the order of the reference's. */
  readonly name: string;
  /** The outputs in plain tfjs ops. */
  readonly reference: (inputs: Inputs, attrs: Attrs) => readonly Tensor[];
}

/** A primitive: a pure function from tensors to a list of tensors, none of which is an input or stands there twice. */
export type Primitive<Inputs extends OpInputs, Attrs extends OpAttrs> = (
  inputs: Inputs,
  attrs: Attrs,
) => Tensor[];

/**
 * Declares an op of several outputs that has no gradient of its own: what gradients of ops are made of, and what comes
 * after the backward pass.
 *
 * It runs the backend's kernel where there is one, and its reference otherwise. Under a gradient tape (a gradient of a
 * gradient) it always runs its reference, so that it can be differentiated to any order. There, a reference that is
 * given a statistic of its input (the batch's mean, say) has to compute it from the input, or a derivative is lost.
 */
export function definePrimitive<Inputs extends OpInputs, Attrs extends OpAttrs>(
  definition: PrimitiveDefinition<Inputs, Attrs>,
): Primitive<Inputs, Attrs> {
  const { name } = definition;
  return (inputs, attrs) => {
    if (!internals().isTapeOn() && hasKernel(name)) {
      const outputs = runKernel(name, inputs, attrs);
      return withoutAliases(inputs, Array.isArray(outputs) ? outputs : [outputs]);
    }
    return tidy(() => withoutAliases(inputs, definition.reference(inputs, attrs)));
  };
}

/** The outputs, with a clone in the place of one that is an input or stood before: each is freed on its own. */
function withoutAliases(inputs: OpInputs, outputs: readonly Tensor[]): Tensor[] {
  const seen = new Set(Object.values(inputs));
  return outputs.map((output) => {
    const own = seen.has(output) ? clone(output) : output;
    seen.add(own);
    return own;
  });
}

function hasKernel(name: string): boolean {
  return getKernel(name, engine().backendName) !== undefined;
}

function runKernel(name: string, inputs: OpInputs, attrs: OpAttrs): Tensor | Tensor[] {
  return engine().runKernel(name, inputs as unknown as NamedTensorMap, attrs as unknown as NamedAttrMap) as
    | Tensor
    | Tensor[];
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
