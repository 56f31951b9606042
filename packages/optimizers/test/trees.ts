import { createKey, isNode, type Key, type NdArray, type Params, treeEntries, treeMap } from '@tenon-ml/core';
import fc from 'fast-check';
import type { HostTree } from './run.js';

const shape = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 });
const name = fc.constantFrom('kernel', 'bias', 'dense_1', 'dense_2', 'dense_10', 'stem', 'Z', 'é');

type Shapes = { readonly [name: string]: readonly number[] | Shapes };

const { tree } = fc.letrec<{ tree: Shapes; child: readonly number[] | Shapes }>((tie) => ({
  tree: fc.dictionary(name, tie('child'), { maxKeys: 3 }),
  child: fc.oneof({ depthSize: 'small', maxDepth: 3 }, shape, tie('tree')),
}));

/** Trees of shapes as parameters have them: names all the way down, empty nodes and empty arrays among them. */
export const shapeTrees: fc.Arbitrary<Shapes> = tree;

/** Normal numbers in these shapes, by path: the same wherever a leaf stands. */
export function draw(shapes: Shapes, key: Key, scale = 1): HostTree {
  const at = (node: Shapes, path: string): HostTree =>
    Object.fromEntries(
      Object.entries(node).map(([child, value]) => {
        const childPath = `${path}.${child}`;
        return [
          child,
          Array.isArray(value)
            ? key.foldIn(childPath).normal(value, 0, scale)
            : at(value as Shapes, childPath),
        ];
      }),
    );
  return at(shapes, '');
}

/** The same tree with the keys of every node in another order. */
export function permuted<T>(node: Params<T>, seed: number): Params<T> {
  const names = Object.keys(node);
  const order = [...createKey(seed).permutation(names.length)];
  return Object.fromEntries(
    order.map((i) => {
      const value = node[names[i]];
      return [names[i], isNode(value) ? permuted(value as Params<T>, seed + 1) : value];
    }),
  ) as Params<T>;
}

/** The leaves by path, for comparisons that no order enters. */
export function byPath(node: HostTree): { [path: string]: NdArray } {
  return Object.fromEntries(treeEntries<NdArray>(node));
}

/** The same shapes, filled with zeros. */
export function zerosIn(node: HostTree): HostTree {
  return treeMap<NdArray, NdArray>(node, ({ shape, data }) => ({
    dtype: 'float32',
    shape,
    data: new Float32Array(data.length),
  })) as HostTree;
}
