import type { ContextOptions } from '@tenon-ml/core';
import { treeMap } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Sees one tensor that a layer shows, and may return another to put in its place. */
export type Observer = (path: string, tensor: Tensor) => Tensor | undefined;

/**
 * An `onTap` that shows tensor after tensor, each under a path of its own: a layer's second call has `#2` behind its path,
 * and an output that is a tree has the names in it.
 */
export function observing(observer: Observer): ContextOptions['onTap'] {
  const calls = new Map<string, number>();
  return (path, output) => {
    const call = (calls.get(path) ?? 0) + 1;
    calls.set(path, call);
    const at = call === 1 ? path : `${path}#${call}`;
    let replaced = false;
    const next = treeMap<Tensor, Tensor>(
      output,
      (tensor, leaf) => {
        const replacement = observer(leaf, tensor);
        if (replacement) replaced = true;
        return replacement ?? tensor;
      },
      at,
    );
    return replaced ? next : undefined;
  };
}
