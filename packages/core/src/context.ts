import type { Tensor } from '@tensorflow/tfjs-core';
import type { DType } from './dtype.js';
import { TenonError } from './errors.js';
import { hash32 } from './philox.js';
import { formatSpec, matchesSpec, type TensorSpec } from './spec.js';
import { joinPath, type Tree, treeZip } from './tree.js';

/** What a random op inside a step draws from: the step's key, and where in the network the draw is made. */
export interface RandomSource {
  /** int32 [2]: the words of the step's key. */
  readonly key: Tensor;
  /** A static 32-bit hash of the layer's path and of how often it has been called in this step. */
  readonly site: number;
}

/** What a layer is told besides its parameters, state and input. */
export interface Context {
  readonly training: boolean;
  /** Where this layer is: `stem.conv1`; empty at the root. */
  readonly path: string;
  /** The source of this call's random numbers. Throws `MISSING_RANDOM_KEY` if the step was given no key. */
  readonly random: RandomSource;
  /** The context of a child; each call for the same name is another call of that layer, with another site. */
  child(name: string): Context;
  /**
   * Shows an output to whoever observes this step, and returns what goes on from here: the output itself, or what the
   * observer puts in its place. Containers call it for each of their children, and use what it returns.
   */
  tap<T extends Tree<Tensor>>(name: string, output: T): T;
}

/** What one step tells all of its layers. */
export interface ContextOptions {
  readonly training: boolean;
  /** The key of this step: `key.toNdArray()`, as an argument of the compiled function. */
  readonly key?: Tensor;
  /**
   * Sees every output that is tapped, with its path; the tensors live as long as the step. What it returns goes on in
   * the output's place, and has its structure, shapes and dtypes; undefined leaves the output as it is. Adding a zero
   * that is a parameter gives the gradient with respect to that output (Flax's `perturb`).
   */
  readonly onTap?: (path: string, output: Tree<Tensor>) => Tree<Tensor> | undefined;
}

/**
 * The context of the root layer for one step. Its `tap` throws `STRUCTURE_MISMATCH`, `SHAPE_MISMATCH` or
 * `DTYPE_MISMATCH` where an observer replaces an output by what doesn't look like it.
 */
export function createContext(options: ContextOptions): Context {
  const calls = new Map<string, number>();
  const at = (path: string): Context => {
    const call = calls.get(path) ?? 0;
    calls.set(path, call + 1);
    return {
      training: options.training,
      path,
      get random(): RandomSource {
        if (options.key) return { key: options.key, site: hash32(`${path}#${call}`) };
        throw new TenonError({
          code: 'MISSING_RANDOM_KEY',
          where: path || 'model',
          message: 'this layer draws random numbers, and the step was given no random key',
          hint: 'Pass one: createContext({ training: true, key }).',
        });
      },
      child: (name) => at(joinPath(path, name)),
      tap(name, output) {
        const tapped = joinPath(path, name);
        const replacement = options.onTap?.(tapped, output);
        if (replacement === undefined || replacement === output) return output;
        treeZip<Tensor, Tensor, void>(output, replacement, checkReplacement, tapped);
        return replacement as typeof output;
      },
    };
  };
  return at('');
}

/** Throws where what an observer puts in the place of an output isn't of its shape and dtype. */
function checkReplacement(output: Tensor, replacement: Tensor, path: string): void {
  const [wanted, got] = [specOf(output), specOf(replacement)];
  if (matchesSpec(got, wanted)) return;
  throw new TenonError({
    code: got.dtype === wanted.dtype ? 'SHAPE_MISMATCH' : 'DTYPE_MISMATCH',
    where: path,
    expected: `${formatSpec(wanted)} in the place of the output`,
    got: formatSpec(got),
    hint: 'onTap returns what has the shape and dtype of what it was shown, or undefined.',
  });
}

function specOf({ shape, dtype }: Tensor): TensorSpec {
  return { shape, dtype: dtype as DType };
}
