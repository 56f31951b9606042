import {
  type AnyLayer,
  blankKey,
  buildLayer,
  isTenonError,
  type LayerSpec,
  type NdArray,
  type Params,
  type Registry,
  TenonError,
  type TensorSpec,
  type Tree,
  treeLeaves,
} from '@tenon-ml/core';
import { multiplyAdds, type summary } from '@tenon-ml/layers';
import { layers } from '@tenon-ml/layers/all';
import { layerList } from './edit_network.js';

type Summarized = Parameters<typeof summary>[0];

/** One call of a layer of the list. */
export interface NetworkRow {
  /** The layer's name in the list, and the beginning of its weights' paths; empty for a network that is one layer. */
  readonly name: string;
  /** Its kind: 'conv2d'. */
  readonly layer: string;
  readonly spec: LayerSpec;
  /** What comes out, null for the batch; null where that isn't known, since it or a layer before is wrong. */
  readonly output: readonly (number | null)[] | null;
  /** Trained numbers; 0 in further calls of the same layer. */
  readonly params: number;
  /** Numbers that are saved without being trained. */
  readonly state: number;
  /** For one example, as `multiplyAdds` counts them; null where they aren't known. */
  readonly multiplyAdds: number | null;
  /** Of a 'sequential' in the list: its own calls, whose figures its own include. Their names count within it. */
  readonly children?: readonly NetworkRow[];
  /** What is wrong with this layer: its options, or what it is given; of one with children also what is wrong with those. */
  readonly error?: TenonError;
}

/** A network, layer by layer. */
export interface NetworkReport {
  readonly rows: readonly NetworkRow[];
  /** What the network gives; null where there is an error. */
  readonly output: TensorSpec | null;
  readonly params: number;
  readonly state: number;
  /** null where there is an error, or where one row's aren't known. */
  readonly multiplyAdds: number | null;
  /** The first row's error; or what is wrong with the list itself. */
  readonly error?: TenonError;
}

/**
 * What a network makes of an input, for an editor: a row for each call of a 'sequential', in order; one row for any other
 * layer. Nothing is drawn, and nothing thrown: an error stands at the row that it belongs to, an unknown layer or option
 * as well as a shape that doesn't fit. The rows before it are complete, those after it say what is wrong with themselves.
 */
export function inspectNetwork(
  network: LayerSpec,
  input: TensorSpec,
  registry: Registry = layers,
): NetworkReport {
  const list = layerList(network);
  const { rows, output } = inspectCalls(
    list ? list.order.map((name) => [name, list.children[name]]) : [['', network]],
    input,
    registry,
    '',
  );
  const wrong = rows.find(({ error }) => error)?.error ?? (list && listError(network, registry));
  const sum = (column: 'params' | 'state') => rows.reduce((total, row) => total + row[column], 0);
  return {
    rows,
    output: wrong ? null : output,
    params: sum('params'),
    state: sum('state'),
    multiplyAdds: rows.reduce<number | null>(
      (total, row) => (total === null || row.multiplyAdds === null ? null : total + row.multiplyAdds),
      0,
    ),
    ...(wrong && { error: wrong }),
  };
}

/** Calls one after the other; each is given what the one before makes, null where that isn't known. */
function inspectCalls(
  calls: readonly (readonly [name: string, spec: LayerSpec])[],
  input: TensorSpec | null,
  registry: Registry,
  prefix: string,
): { readonly rows: readonly NetworkRow[]; readonly output: TensorSpec | null } {
  const seen = new Set<string>();
  let output = input;
  const rows = calls.map(([name, spec]) => {
    const { next, ...row } = inspectLayer(name, spec, output, registry, prefix);
    output = next;
    const first = !seen.has(name);
    seen.add(name);
    return first ? row : { ...row, params: 0, state: 0 };
  });
  return { rows, output };
}

function inspectLayer(
  name: string,
  spec: LayerSpec,
  given: TensorSpec | null,
  registry: Registry,
  prefix: string,
): NetworkRow & { readonly next: TensorSpec | null } {
  const layer = typeof spec?.layer === 'string' ? spec.layer : '';
  const path = `${prefix}${name}`;
  const list = name === '' || !spec ? undefined : layerList(spec);
  const calls = list?.order.map((child) => [child, list.children[child]] as const);
  const children = calls && inspectCalls(calls, given, registry, `${path}.`).rows;
  const row = {
    ...{ name, layer, spec, output: null, params: 0, state: 0, multiplyAdds: null, next: null },
    ...(children && { children }),
  };
  const built = attempt(() => buildLayer(spec, registry, path));
  if ('error' in built) return { ...row, error: built.error };
  if (!given) return row;
  const made = attempt(() => measure(built.value, path, given));
  return 'error' in made ? { ...row, error: made.error } : { ...row, ...made.value };
}

function measure(layer: AnyLayer, name: string, given: TensorSpec) {
  const { params, state, output } = layer.init(blankKey, given, name);
  const next = output as TensorSpec;
  return {
    output: next.shape,
    params: countOf(params),
    state: countOf(state),
    multiplyAdds: multiplyAdds(layer as unknown as Summarized, given),
    next,
  };
}

/** What is wrong with a list whose layers are right: a name that can't be one, a layer that isn't called. */
function listError(network: LayerSpec, registry: Registry): TenonError | undefined {
  const built = attempt(() => buildLayer(network, registry));
  return 'error' in built ? built.error : undefined;
}

function attempt<T>(f: () => T): { readonly value: T } | { readonly error: TenonError } {
  try {
    return { value: f() };
  } catch (cause) {
    if (isTenonError(cause)) return { error: cause };
    // A layer of another package may throw what it likes.
    const message = cause instanceof Error ? cause.message : String(cause);
    return { error: new TenonError({ code: 'INVALID_ARGUMENT', message, cause }) };
  }
}

function countOf(tree: Params<NdArray>): number {
  return treeLeaves<NdArray>(tree as Tree<NdArray>).reduce((count, { data }) => count + data.length, 0);
}
