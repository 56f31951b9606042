import type { Tensor } from '@tensorflow/tfjs-core';
import { TenonError } from './errors.js';
import { hash32 } from './philox.js';
import { joinPath, type Tree } from './tree.js';

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
  /** Shows an output to whoever observes this step; containers call it for each of their children. */
  tap(name: string, output: Tree<Tensor>): void;
}

/** What one step tells all of its layers. */
export interface ContextOptions {
  readonly training: boolean;
  /** The key of this step: `key.toNdArray()`, as an argument of the compiled function. */
  readonly key?: Tensor;
  /** Sees every output that is tapped, with its path; the tensors live as long as the step. */
  readonly onTap?: (path: string, output: Tree<Tensor>) => void;
}

/** The context of the root layer for one step. */
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
      tap: (name, output) => options.onTap?.(joinPath(path, name), output),
    };
  };
  return at('');
}
