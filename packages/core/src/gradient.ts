import { type Tensor, zerosLike } from '@tensorflow/tfjs-core';
import { handOver, internals, isRecordingGradients, runScope } from './engine.js';
import { TenonError } from './errors.js';
import { formatShape } from './ndarray.js';
import { type Tree, treeEntries, treeLeaves, treeMap } from './tree.js';

/** A function's value and its gradients: one for each leaf of its first argument, zeros where it isn't used. */
export interface ValueAndGrads<P> {
  readonly value: Tensor;
  readonly grads: P;
}

/**
 * Reverse-mode differentiation of a scalar function of a tree of tensors: `valueAndGrad(f)(params, ...rest)` gives
 * f(params, …rest) and ∂f/∂p for every leaf p of `params`.
 *
 * With `{ aux: true }`, f returns `[value, aux]`, and `aux`, any tree of tensors, is handed through (JAX's `has_aux`).
 *
 * What it makes belongs to the scope around it: use it inside `compile` (or a `tf.tidy`).
 *
 * Leaves are float32. A leaf that f doesn't use has zeros as its gradient (PyTorch: None). The value must be a scalar:
 * throws `SHAPE_MISMATCH` otherwise.
 */
export function valueAndGrad<P extends Tree<Tensor>, Rest extends readonly unknown[]>(
  f: (params: P, ...rest: Rest) => Tensor,
): (params: P, ...rest: Rest) => ValueAndGrads<P>;
export function valueAndGrad<
  P extends Tree<Tensor>,
  Rest extends readonly unknown[],
  Aux extends Tree<Tensor>,
>(
  f: (params: P, ...rest: Rest) => readonly [value: Tensor, aux: Aux],
  options: { readonly aux: true },
): (params: P, ...rest: Rest) => ValueAndGrads<P> & { readonly aux: Aux };
export function valueAndGrad<P extends Tree<Tensor>, Rest extends readonly unknown[]>(
  f: (params: P, ...rest: Rest) => Tensor | readonly [Tensor, Tree<Tensor>],
  options: { readonly aux?: boolean } = {},
): (params: P, ...rest: Rest) => Result<P> {
  return (params, ...rest) => {
    const tfjs = internals();
    const leaves = treeEntries<Tensor>(params);
    for (const [path, leaf] of leaves) checkLeaf(path, leaf);

    const differentiate = (): Result<P> => {
      let aux: Tree<Tensor> | undefined;
      const forward = (): Tensor => {
        const result = f(params, ...rest);
        if (!options.aux) return checkScalar(result as Tensor);
        const [value, extra] = result as readonly [Tensor, Tree<Tensor>];
        // tfjs frees whatever the closure makes but its value: the rest survives as kept clones.
        aux = treeMap(extra, (tensor) => tfjs.keep(tfjs.clone(tensor)));
        return checkScalar(value);
      };
      if (leaves.length === 0) return { value: forward(), grads: params, aux };
      const xs = leaves.map(([, leaf]) => leaf);
      const { value, grads } = tfjs.gradients(forward, xs, undefined, true);
      let next = 0;
      return {
        value,
        aux,
        grads: treeMap<Tensor, Tensor>(params, (leaf) => grads[next++] ?? zerosLike(leaf)) as P,
      };
    };

    // Under an outer tape, what is saved here is saved for that tape too, and freed with it.
    if (isRecordingGradients()) return differentiate();
    const made = ({ value, grads, aux }: Result<P>): Tensor[] => [
      value,
      ...(leaves.length === 0 ? [] : treeLeaves<Tensor>(grads)),
      ...(aux ? treeLeaves<Tensor>(aux) : []),
    ];
    const result = runScope('valueAndGrad', differentiate, made);
    for (const tensor of made(result)) handOver(tensor);
    return result;
  };
}

type Result<P> = ValueAndGrads<P> & { aux?: Tree<Tensor> };

function checkLeaf(path: string, leaf: Tensor): void {
  if (leaf.dtype === 'float32') return;
  throw new TenonError({
    code: 'DTYPE_MISMATCH',
    where: path || 'valueAndGrad',
    expected: 'float32, to differentiate with respect to it',
    got: leaf.dtype,
    hint: 'Pass it as a later argument, not among the parameters.',
  });
}

function checkScalar(value: Tensor): Tensor {
  if (value && value.size === 1 && value.shape.length === 0) return value;
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where: 'valueAndGrad',
    expected: 'a scalar from the function that is differentiated',
    got: value?.shape ? formatShape(value.shape) : typeof value,
    hint: 'Reduce it: weightedMean(loss(output, target)), or sum(values).',
  });
}
