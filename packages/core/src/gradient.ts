import { clone, Tensor, zerosLike } from '@tensorflow/tfjs-core';
import {
  checkTensor,
  handOver,
  internals,
  isRecordingGradients,
  nextTensorId,
  refusePromise,
  runScope,
} from './engine.js';
import { TenonError } from './errors.js';
import { formatShape } from './ndarray.js';
import { type Tree, treeEntries, treeLeaves, treeMap } from './tree.js';

/** A function's value and its gradients: one for each leaf of its first argument, zeros where it isn't used. */
export type ValueAndGrads<P> = {
  readonly value: Tensor;
  readonly grads: P;
};

/**
 * Reverse-mode differentiation of a scalar function of a tree of tensors: `valueAndGrad(f)(params, ...rest)` gives
 * f(params, …rest) and ∂f/∂p for every leaf p of `params`.
 *
 * With `{ aux: true }`, f returns `[value, aux]`, and `aux`, any tree of tensors, is handed through (JAX's `has_aux`).
 *
 * What it makes belongs to the scope around it: use it inside `compile` (or a `tf.tidy`).
 *
 * Leaves are float32: `DTYPE_MISMATCH` otherwise. A leaf that f doesn't use has zeros as its gradient (PyTorch: None).
 * A tensor that stands at several leaves has a gradient for each of them, not their sum (as in JAX). The value must be a
 * float32 scalar: throws `SHAPE_MISMATCH` or `DTYPE_MISMATCH` otherwise.
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
  return (given, ...rest) => {
    const tfjs = internals();
    for (const [path, leaf] of treeEntries<Tensor>(given)) checkLeaf(path, leaf);

    const differentiate = (): Result<P> => {
      const first = nextTensorId();
      const params = withoutRepeats(given);
      let aux: Tree<Tensor> | undefined;
      const forward = (): Tensor => {
        const result = f(params, ...rest);
        refusePromise(result, 'valueAndGrad');
        const [value, extra] = options.aux ? (result as readonly [Tensor, Tree<Tensor>]) : [result as Tensor];
        checkScalar(value);
        // tfjs frees whatever the closure makes but its value: the rest survives as kept clones.
        if (extra !== undefined) aux = treeMap(extra, (leaf, path) => tfjs.keep(clone(checkAux(leaf, path))));
        // The value is freed with the scope around, so a tensor from outside may not be it.
        return value.id < first ? clone(value) : value;
      };
      const xs = treeLeaves<Tensor>(params);
      if (xs.length === 0) return { value: forward(), grads: given, ...(aux === undefined ? {} : { aux }) };
      const { value, grads } = tfjs.gradients(forward, xs, undefined, true);
      let next = 0;
      return {
        value,
        ...(aux === undefined ? {} : { aux }),
        grads: treeMap<Tensor, Tensor>(params, (leaf) => grads[next++] ?? zerosLike(leaf)) as P,
      };
    };

    const made = ({ value, grads, aux }: Result<P>): Tensor[] => [
      value,
      ...treeLeaves<Tensor>(grads),
      ...(aux === undefined ? [] : treeLeaves<Tensor>(aux)),
    ];
    // Under an outer tape, what is saved here is saved for that tape too, and freed with it.
    const result = isRecordingGradients() ? differentiate() : runScope('valueAndGrad', differentiate, made);
    for (const tensor of made(result)) if (tensor.kept) handOver(tensor);
    return result;
  };
}

type Result<P> = ValueAndGrads<P> & { aux?: Tree<Tensor> };

/** The tree with a clone in the place of a tensor that stood before: each leaf has a gradient of its own. */
function withoutRepeats<P extends Tree<Tensor>>(params: P): P {
  const seen = new Set<Tensor>();
  for (const leaf of treeLeaves<Tensor>(params)) seen.add(leaf);
  if (seen.size === treeLeaves<Tensor>(params).length) return params;
  seen.clear();
  return treeMap<Tensor, Tensor>(params, (leaf) => {
    if (seen.has(leaf)) return clone(leaf);
    seen.add(leaf);
    return leaf;
  }) as P;
}

function checkLeaf(path: string, leaf: Tensor): void {
  checkTensor(leaf, path || 'valueAndGrad');
  if (leaf.dtype === 'float32') return;
  throw new TenonError({
    code: 'DTYPE_MISMATCH',
    where: path || 'valueAndGrad',
    expected: 'float32, to differentiate with respect to it',
    got: leaf.dtype,
    hint: 'Pass it as a later argument, not among the parameters.',
  });
}

function checkAux(leaf: Tensor, path: string): Tensor {
  checkTensor(leaf, path ? `valueAndGrad, aux ${path}` : 'valueAndGrad, aux');
  return leaf;
}

function checkScalar(value: Tensor): void {
  if (value instanceof Tensor && value.shape.length === 0) {
    if (value.dtype === 'float32') return;
    throw new TenonError({
      code: 'DTYPE_MISMATCH',
      where: 'valueAndGrad',
      expected: 'a float32 value of the function that is differentiated',
      got: value.dtype,
    });
  }
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where: 'valueAndGrad',
    expected: 'a scalar from the function that is differentiated',
    got: value instanceof Tensor ? formatShape(value.shape) : typeof value,
    hint: 'Reduce it: weightedMean(loss(output, target)), or sum(values).',
  });
}
