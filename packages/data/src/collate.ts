import {
  type DType,
  dtypes,
  formatSpec,
  isNdArray,
  isNode,
  joinPath,
  type NdArray,
  sameShape,
  sizeOf,
  TenonError,
  type Tree,
  type TypedArray,
} from '@tenon-ml/core';

/**
 * Elements as one: each leaf stacked along a new first axis. All must be trees of NdArrays with the same names, shapes
 * and dtypes; `record` names the i-th of them in the error for one that isn't.
 */
export function collate<T>(elements: readonly T[], record: (i: number) => string): T {
  const stack = (nodes: readonly unknown[], path: string): unknown => {
    const [first] = nodes;
    if (isNdArray(first)) return stackLeaves(nodes, path, record);
    if (!isNode(first)) {
      throw new TenonError({
        code: 'DATA_INVALID',
        where: at(record(0), path),
        expected: 'NdArrays in plain objects and arrays, to make a batch',
        got: first === null ? 'null' : typeof first === 'object' ? 'an object of a class' : typeof first,
        hint: 'Map it to an NdArray before batch, such as scalar(label, "int32").',
      });
    }
    const names = presentNames(first);
    for (let i = 1; i < nodes.length; i++) {
      const other = nodes[i];
      const same = isNode(other) && Array.isArray(other) === Array.isArray(first);
      const otherNames = same ? presentNames(other) : [];
      if (same && otherNames.length === names.length && names.every((name) => otherNames.includes(name)))
        continue;
      throw new TenonError({
        code: 'STRUCTURE_MISMATCH',
        where: at(record(i), path),
        expected: `${describe(first)} as in ${record(0)}`,
        got: describe(other),
      });
    }
    const child = (name: string): unknown =>
      stack(
        nodes.map((node) => (node as Record<string, unknown>)[name]),
        joinPath(path, name),
      );
    if (Array.isArray(first)) return names.map(child);
    return Object.fromEntries(names.map((name) => [name, child(name)]));
  };
  return stack(elements, '') as T;
}

/** The given rows of an array, copied in that order: [n, …] becomes [indices.length, …]. */
export function gatherRows(array: NdArray, indices: readonly number[]): NdArray {
  const shape = array.shape.slice(1);
  const width = sizeOf(shape);
  const data = createData(array.dtype, indices.length * width);
  const source = array.data;
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i] * width;
    if (width === 1) data[i] = source[from];
    else setRow(data, source.subarray(from, from + width), i * width);
  }
  return { dtype: array.dtype, shape: [indices.length, ...shape], data } as NdArray;
}

/** The same tree with `f` of every NdArray in it; whatever isn't one stays. */
export function mapArrays<T>(tree: T, f: (array: NdArray, path: string) => NdArray, path = ''): T {
  if (isNdArray(tree)) return f(tree, path) as T;
  if (!isNode(tree)) return tree;
  if (Array.isArray(tree)) return tree.map((child, i) => mapArrays(child, f, joinPath(path, i))) as T;
  return Object.fromEntries(
    presentNames(tree).map((name) => [
      name,
      mapArrays((tree as Record<string, unknown>)[name], f, joinPath(path, name)),
    ]),
  ) as T;
}

function stackLeaves(nodes: readonly unknown[], path: string, record: (i: number) => string): Tree<NdArray> {
  const first = nodes[0] as NdArray;
  const width = sizeOf(first.shape);
  const data = createData(first.dtype, nodes.length * width);
  for (let i = 0; i < nodes.length; i++) {
    const leaf = nodes[i];
    if (!isNdArray(leaf)) {
      throw new TenonError({
        code: 'STRUCTURE_MISMATCH',
        where: at(record(i), path),
        expected: `${formatSpec(first)} as in ${record(0)}`,
        got: describe(leaf),
      });
    }
    if (leaf.dtype !== first.dtype || !sameShape(leaf.shape, first.shape)) {
      throw new TenonError({
        code: leaf.dtype === first.dtype ? 'SHAPE_MISMATCH' : 'DTYPE_MISMATCH',
        where: at(record(i), path),
        expected: `${formatSpec(first)} as in ${record(0)}`,
        got: formatSpec(leaf),
        hint: 'The elements of a batch have one shape and one dtype.',
      });
    }
    setRow(data, leaf.data, i * width);
  }
  return { dtype: first.dtype, shape: [nodes.length, ...first.shape], data } as NdArray;
}

function createData(dtype: DType, length: number): TypedArray {
  return dtypes[dtype].create(length);
}

// Both arrays are of the class of one dtype; the union of classes has no common `set`.
function setRow(into: TypedArray, row: TypedArray, offset: number): void {
  (into as Float64Array).set(row as Float64Array, offset);
}

/** The names in a node; a property that is there and undefined counts as absent (`weight?`). */
function presentNames(node: object): string[] {
  const names = Object.keys(node);
  return Array.isArray(node)
    ? names
    : names.filter((name) => (node as Record<string, unknown>)[name] !== undefined);
}

function describe(node: unknown): string {
  if (isNdArray(node)) return formatSpec(node);
  if (!isNode(node)) return node === null ? 'null' : typeof node;
  return Array.isArray(node) ? `an array of ${node.length}` : `{ ${presentNames(node).join(', ')} }`;
}

function at(record: string, path: string): string {
  return path === '' ? record : `${record}, ${path}`;
}
