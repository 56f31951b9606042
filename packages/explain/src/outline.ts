import type { AnyLayer, DeviceDType, Tree } from '@tenon-ml/core';
import { treeLeaves } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** An output inside a network that can be looked at. */
export interface LayerOutput {
  /**
   * Where it is made: `stem.conv2d_1`. A layer's second call has `#2` behind its path, an output that is a tree the names in
   * it.
   */
  readonly path: string;
  /** The kind of the layer whose output it is, 'conv2d'; absent for what a layer shows besides. */
  readonly layer?: string;
  /** For inputs of this shape; null stands for the batch. */
  readonly shape: readonly (number | null)[];
  readonly dtype: DeviceDType;
}

/** What a network shows for inputs of one shape. */
export interface Outline {
  /** In the order in which they are made. */
  readonly outputs: readonly LayerOutput[];
  /** What the last layer takes: the output that its own is made of; undefined where nothing is shown. */
  readonly beforeLast: string | undefined;
  /** The paths of attentions: what shows a `query` and a `key`. */
  readonly attentions: readonly Attention[];
}

/** An attention, by the paths of what it shows. */
export interface Attention {
  readonly path: string;
  readonly query: string;
  readonly key: string;
  readonly causal: boolean;
}

/** The outline, of what has been shown on the way from an input to the network's output. */
export function outlineOf(
  layer: AnyLayer,
  shown: readonly (readonly [path: string, tensor: Tensor])[],
  output: Tree<Tensor>,
): Outline {
  const outputs = shown.map(([path, { shape, dtype }]): LayerOutput => {
    const kind = layerAt(layer, path)?.spec.layer;
    return {
      path,
      ...(kind !== undefined && { layer: kind }),
      shape: shape.map((size, axis) => (axis === 0 ? null : size)),
      dtype: dtype as DeviceDType,
    };
  });
  return { outputs, beforeLast: beforeLast(shown, output), attentions: attentionsOf(layer, outputs) };
}

/**
 * Containers show the last layer's output once more, as their own: the first of these is that layer. What it takes is
 * what was made before it, but for what it shows from inside.
 */
function beforeLast(
  shown: readonly (readonly [path: string, tensor: Tensor])[],
  output: Tree<Tensor>,
): string | undefined {
  const [result] = treeLeaves<Tensor>(output);
  const last = shown.findIndex(([, tensor]) => tensor === result);
  const inside = last < 0 ? undefined : `${withoutCall(shown[last][0])}.`;
  const before = last < 0 ? shown : shown.slice(0, last).filter(([path]) => !path.startsWith(`${inside}`));
  return before.at(-1)?.[0];
}

function attentionsOf(layer: AnyLayer, outputs: readonly LayerOutput[]): Attention[] {
  const byPath = new Map(outputs.map((output) => [output.path, output]));
  return outputs.flatMap(({ path: query, shape }) => {
    const [, place = '', call = ''] = /^(?:(.*)\.)?query(#\d+)?$/.exec(query) ?? [];
    const key = `${place === '' ? '' : `${place}.`}key${call}`;
    if (!/(^|\.)query(#\d+)?$/.test(query) || shape.length !== 4 || byPath.get(key)?.shape.length !== 4)
      return [];
    const causal = layerAt(layer, place)?.spec.causal === true;
    return [{ path: place + call, query, key, causal }];
  });
}

/** The layer at a path below another one; undefined where there is none. */
function layerAt(root: AnyLayer, path: string): AnyLayer | undefined {
  if (path === '') return root;
  return withoutCall(path)
    .split('.')
    .reduce<AnyLayer | undefined>((layer, name) => layer?.children?.[name], root);
}

function withoutCall(path: string): string {
  return path.replace(/#\d+$/, '');
}
