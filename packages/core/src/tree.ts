import type { Tensor } from '@tensorflow/tfjs-core';
import { TenonError } from './errors.js';
import { isNdArray, type NdArray } from './ndarray.js';
import type { TensorSpec } from './spec.js';

/**
 * Values arranged in plain arrays and objects, nothing else. Names are not empty, have no dots and aren't `__proto__`:
 * what walks a tree throws `INVALID_ARGUMENT` for others. An interface has no index signature, so that a type which is
 * to be a tree is declared with `type`.
 */
export type Tree<T> = T | readonly Tree<T>[] | { readonly [name: string]: Tree<T> };

declare const leaf: unique symbol;

/** Marks, in the type of a layer's parameters or state, where an array is: `{ kernel: Leaf; bias: Leaf }`. */
export interface Leaf {
  readonly [leaf]: true;
}

/** Values that are named all the way down: a parameter's path is the names joined by dots. */
export interface Params<L> {
  readonly [name: string]: L | Params<L>;
}

/** The parameters or state of a layer that has none. */
export type None = Record<never, Leaf>;

type AnyLeaf = Leaf | Tensor | NdArray | TensorSpec;
type Replace<T, L> = T extends AnyLeaf ? L : T extends object ? { [K in keyof T]: Replace<T[K], L> } : T;

/** The same tree, of host values. */
export type Host<T> = Replace<T, NdArray>;
/** The same tree, of tensors on a device. */
export type Device<T> = Replace<T, Tensor>;

// The same for trees that may be open-ended, which are named, not expanded: TypeScript would follow their recursion
// without end. Layers use the simpler one above, since this one would make them invariant in their parameters.
type ReplaceOpen<T, L> = [Tree<Tensor>] extends [T]
  ? keyof T extends never
    ? T
    : Tree<L>
  : T extends AnyLeaf
    ? L
    : T extends object
      ? { [K in keyof T]: ReplaceOpen<T[K], L> }
      : T;

/** What a function of tensors may be given: the same tree, with host values allowed in the place of tensors. */
export type Feed<T> = ReplaceOpen<T, Tensor | NdArray>;
/** The same tree, of shapes and dtypes. */
export type Specs<T> = ReplaceOpen<T, TensorSpec>;
/** What `read` gives for a tree of tensors. */
export type Downloaded<T> = ReplaceOpen<T, NdArray>;
/** What `upload` gives for a tree of host values. */
export type Uploaded<T> = ReplaceOpen<T, Tensor>;

type Node = readonly unknown[] | { readonly [name: string]: unknown };

/** Whether `value` is an inner node: a plain array, or a plain object that isn't an NdArray or a spec. */
export function isNode(value: unknown): value is Node {
  if (Array.isArray(value)) return true;
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return !isNdArray(value) && !('shape' in value && 'dtype' in value && Array.isArray(value.shape));
}

/** `a.b` from `a` and `b`; at the root just `b`. */
export function joinPath(parent: string, name: string | number): string {
  return parent === '' ? String(name) : `${parent}.${name}`;
}

/** Leaves with their paths, in the order in which they stand. */
export function treeEntries<T>(tree: Tree<T>, path = ''): [path: string, leaf: T][] {
  const entries: [string, T][] = [];
  const walk = (node: Tree<T>, at: string): void => {
    if (!isNode(node)) {
      entries.push([at, node as T]);
      return;
    }
    for (const [name, child] of Object.entries(node))
      walk(child as Tree<T>, joinPath(at, checkName(name, at)));
  };
  walk(tree, path);
  return entries;
}

/** The leaves, in the order in which they stand. */
export function treeLeaves<T>(tree: Tree<T>): T[] {
  return treeEntries(tree).map(([, value]) => value);
}

/** The same tree with `f(leaf, path)` in the place of every leaf. */
export function treeMap<T, U>(tree: Tree<T>, f: (leaf: T, path: string) => U, path = ''): Tree<U> {
  if (!isNode(tree)) return f(tree as T, path);
  if (Array.isArray(tree)) return tree.map((child, i) => treeMap(child as Tree<T>, f, joinPath(path, i)));
  const mapped: { [name: string]: Tree<U> } = {};
  for (const [name, child] of Object.entries(tree)) {
    mapped[name] = treeMap(child as Tree<T>, f, joinPath(path, checkName(name, path)));
  }
  return mapped;
}

/**
 * The tree of `f(leaf, the other tree's leaf, path)`; the other must have the same names at the same places, in any
 * order. Throws `STRUCTURE_MISMATCH` at the first path where they don't.
 */
export function treeZip<T, U, V>(
  tree: Tree<T>,
  other: Tree<U>,
  f: (a: T, b: U, path: string) => V,
  path = '',
): Tree<V> {
  if (!isNode(tree)) {
    if (isNode(other)) throw mismatch(path, 'a leaf', describe(other));
    return f(tree as T, other as U, path);
  }
  if (!isNode(other) || Array.isArray(tree) !== Array.isArray(other)) {
    throw mismatch(path, describe(tree), describe(other));
  }
  const left = Object.keys(tree);
  const right = Object.keys(other);
  if (left.length !== right.length || left.some((name) => !Object.hasOwn(other, name))) {
    throw mismatch(path, describe(tree), describe(other));
  }
  const zip = (name: string | number): Tree<V> =>
    treeZip(
      (tree as Record<string, Tree<T>>)[name],
      (other as Record<string, Tree<U>>)[name],
      f,
      joinPath(path, checkName(String(name), path)),
    );
  if (Array.isArray(tree)) return tree.map((_, i) => zip(i));
  return Object.fromEntries(left.map((name) => [name, zip(name)]));
}

/**
 * Nested objects from paths: `[['a.b', x]]` becomes `{ a: { b: x } }`. Arrays come back as objects. Throws
 * `STRUCTURE_MISMATCH` for a path that is given twice or runs through another value.
 */
export function unflatten<T>(entries: Iterable<readonly [string, T]>): Params<T> {
  const root: { [name: string]: unknown } = {};
  for (const [path, value] of entries) {
    const names = path.split('.');
    let node = root;
    for (const [depth, name] of names.entries()) {
      checkName(name, names.slice(0, depth).join('.'));
      const last = depth === names.length - 1;
      // What objects inherit ('constructor') isn't there.
      const taken = Object.hasOwn(node, name);
      if (taken && (last || !isNode(node[name]))) {
        throw new TenonError({
          code: 'STRUCTURE_MISMATCH',
          where: path,
          message: 'this path is given twice, or runs through another value',
        });
      }
      if (!taken) node[name] = last ? value : {};
      node = node[name] as { [name: string]: unknown };
    }
  }
  return root as Params<T>;
}

function checkName(name: string, parent: string): string {
  if (name === '' || name.includes('.') || name === '__proto__') {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: parent || 'tree',
      expected: "names that are not empty, without dots, and not '__proto__'",
      got: `'${name}'`,
    });
  }
  return name;
}

function describe(node: unknown): string {
  if (!isNode(node)) return 'a leaf';
  return Array.isArray(node) ? `an array of ${node.length}` : `{ ${Object.keys(node).join(', ')} }`;
}

function mismatch(path: string, expected: string, got: string): TenonError {
  return new TenonError({ code: 'STRUCTURE_MISMATCH', where: path || 'tree', expected, got });
}
