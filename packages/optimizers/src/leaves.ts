import {
  formatShape,
  type NdArray,
  type Params,
  sameShape,
  TenonError,
  treeEntries,
  treeMap,
  zeros,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** Zeros in the shapes of `params`, at the same paths; or another value. */
export function mirrorParams(params: Params<NdArray>, value = 0): Params<NdArray> {
  return treeMap<NdArray, NdArray>(params, ({ shape }) => {
    const array = zeros(shape);
    if (value !== 0) array.data.fill(value);
    return array;
  }) as Params<NdArray>;
}

/** The tree of `f(update, path)`, with the type of `updates`. */
export function mapUpdates<P extends Params<Tensor>>(
  updates: P,
  f: (update: Tensor, path: string) => Tensor,
): P {
  return treeMap<Tensor, Tensor>(updates, f) as P;
}

/**
 * Runs `f` for every leaf of `updates` with the leaves at the same path of each slot of `state`, and arranges what it
 * returns in the same trees.
 *
 * Leaves are found by path: neither order nor position matters. State of parameters that have no update (frozen ones)
 * is passed on as it is, so that its moments are still there when they are trained again. Throws `STRUCTURE_MISMATCH`
 * for an update without state, `SHAPE_MISMATCH` for state of another shape.
 */
export function updateSlots<P extends Params<Tensor>, Names extends string>(
  updates: P,
  state: Params<Tensor>,
  slots: readonly Names[],
  f: (
    update: Tensor,
    slot: { readonly [S in Names]: Tensor },
  ) => { update: Tensor } & { readonly [S in Names]: Tensor },
): { updates: P; state: Params<Tensor> } {
  return updateSlotsAtOnce(updates, state, slots, (all, slotsOfAll) => {
    const results = all.map((update, i) =>
      f(
        update,
        Object.fromEntries(slots.map((slot) => [slot, slotsOfAll[slot][i]])) as {
          readonly [S in Names]: Tensor;
        },
      ),
    );
    const lists = (['update', ...slots] as const).map((name) => [
      name,
      results.map((result) => result[name]),
    ]);
    return Object.fromEntries(lists) as unknown as SlotLists<'update' | Names>;
  });
}

/** A list of tensors by name, with one for each update. */
type SlotLists<Names extends string> = { readonly [S in Names]: readonly Tensor[] };

/** As `updateSlots`, where `f` takes all leaves at once: lists in one order, that of `updates`. */
export function updateSlotsAtOnce<P extends Params<Tensor>, Names extends string>(
  updates: P,
  state: Params<Tensor>,
  slots: readonly Names[],
  f: (updates: readonly Tensor[], slots: SlotLists<Names>) => SlotLists<'update' | Names>,
): { updates: P; state: Params<Tensor> } {
  const trees = state as { readonly [slot: string]: Params<Tensor> | undefined };
  const entries = treeEntries<Tensor>(updates);
  const before = slots.map((slot) => {
    const leaves = new Map(treeEntries<Tensor>(trees[slot] ?? {}));
    return [slot, entries.map(([path, update]) => checkSlot(leaves.get(path), update, slot, path))] as const;
  });
  const after = f(
    entries.map(([, update]) => update),
    Object.fromEntries(before) as unknown as SlotLists<Names>,
  );
  const place = new Map(entries.map(([path], i) => [path, i]));
  const next = slots.map((slot) => [
    slot,
    treeMap<Tensor, Tensor>(trees[slot] ?? {}, (leaf, path) => {
      const i = place.get(path);
      return i === undefined ? leaf : after[slot][i];
    }),
  ]);
  return {
    updates: mapUpdates(updates, (_, path) => after.update[place.get(path) as number]),
    state: Object.fromEntries(next) as Params<Tensor>,
  };
}

function checkSlot(leaf: Tensor | undefined, update: Tensor, slot: string, path: string): Tensor {
  if (!leaf) {
    throw new TenonError({
      code: 'STRUCTURE_MISMATCH',
      where: path,
      message: `the optimizer's state '${slot}' has nothing for this parameter`,
      hint: 'The state comes from init(params), of the same parameters; for a new one, take its state from there.',
    });
  }
  checkShape(leaf, update, path, `the optimizer's state '${slot}'`);
  return leaf;
}

/** Throws `SHAPE_MISMATCH` where two leaves differ in shape: tfjs would broadcast them in silence. */
export function checkShape(got: Tensor, like: Tensor, path: string, what: string): void {
  if (sameShape(got.shape, like.shape)) return;
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where: path,
    expected: `${what} in the shape ${formatShape(like.shape)}`,
    got: formatShape(got.shape),
  });
}

/** The leaf of `tree` at each path. Throws `STRUCTURE_MISMATCH` unless its paths are exactly those of `like`. */
export function leavesAt(tree: Params<Tensor>, like: Params<Tensor>, what: string): Map<string, Tensor> {
  const leaves = new Map(treeEntries<Tensor>(tree));
  const wanted = treeEntries<Tensor>(like);
  for (const [path] of wanted)
    if (!leaves.has(path)) throw mismatch(path, `${what} for this parameter`, 'none');
  if (leaves.size > wanted.length) {
    const known = new Set(wanted.map(([path]) => path));
    for (const path of leaves.keys()) {
      if (!known.has(path)) throw mismatch(path, 'a parameter at this path', `${what} alone`);
    }
  }
  return leaves;
}

function mismatch(where: string, expected: string, got: string): TenonError {
  return new TenonError({
    code: 'STRUCTURE_MISMATCH',
    where,
    expected,
    got,
    hint: 'Gradients and parameters have the same paths: valueAndGrad(f)(params, …) gives them so.',
  });
}

/** The scalar of this name. Throws `INVALID_ARGUMENT` where the step wasn't given it. */
export function scalarOf(scalars: { readonly [name: string]: Tensor }, name: string, where: string): Tensor {
  const value = scalars[name];
  if (value) return value;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where,
    expected: `the scalar '${name}'`,
    got: Object.keys(scalars).join(', ') || 'no scalars',
    hint: "Pass the optimizer's own scalars(step), each number as scalar(value).",
  });
}
