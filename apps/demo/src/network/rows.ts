import type { LayerSpec } from '@tenon-ml/core';
import { insertLayer, layerList, removeLayer, replaceLayer } from '@tenon-ml/experiment/document';
import type { NetworkRow } from '../worker/desk.js';

/** A call of a layer, as the list shows it. */
export interface LayerRow {
  /** The same while the layer is. */
  readonly key: string;
  /** The names of the lists that it lies in, from the outside; empty in the network's own. */
  readonly path: readonly string[];
  readonly name: string;
  readonly spec: LayerSpec;
  /** Among the calls of its list. */
  readonly place: number;
  readonly calls: number;
  /** Whether the layer was called before: it is edited there. */
  readonly again: boolean;
  /** What the desk says of it; null until it has. */
  readonly figures: NetworkRow | null;
  /** Whether its own layers follow. */
  readonly holds: boolean;
}

/**
 * The rows of a network's list, each followed by those of a list within it. They come from the document, so that an edit
 * shows at once, and keep the figures of before until the desk has the new ones.
 */
export function layerRows(
  network: LayerSpec,
  table: readonly NetworkRow[],
  path: readonly string[] = [],
): LayerRow[] {
  const list = layerList(network);
  if (!list) return [];
  const counts = new Map<string, number>();
  return list.order.flatMap((name, place) => {
    const spec = list.children[name];
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    const figures =
      (table[place]?.name === name ? table[place] : table.find((row) => row.name === name)) ?? null;
    const row: LayerRow = {
      key: [...path, count > 1 ? `${name}#${count}` : name].join('/'),
      path,
      name,
      spec,
      place,
      calls: list.order.length,
      again: count > 1,
      figures,
      holds: layerList(spec) !== undefined,
    };
    const inner = row.again ? [] : layerRows(spec, figures?.children ?? [], [...path, name]);
    return [row, ...inner];
  });
}

/** The network with an edit of the list that lies at a path. */
export function editList(
  network: LayerSpec,
  path: readonly string[],
  edit: (list: LayerSpec) => LayerSpec,
): LayerSpec {
  if (path.length === 0) return edit(network);
  const [name, ...rest] = path;
  const children = layerList(network)?.children;
  if (!children || !Object.hasOwn(children, name)) return network;
  return {
    ...network,
    children: { ...children, [name]: editList(children[name], rest, edit) },
  } as LayerSpec;
}

/** The list that lies at a path; undefined where there is none. */
export function listAt(network: LayerSpec, path: readonly string[]): LayerSpec | undefined {
  return path.reduce<LayerSpec | undefined>((list, name) => list && layerList(list)?.children[name], network);
}

/** Layers of one kind that follow each other: a stack of blocks. */
export interface Stack {
  readonly start: number;
  readonly names: readonly string[];
  /** Whether they have the same options. */
  readonly alike: boolean;
}

const blocks: readonly string[] = ['transformerBlock', 'resnetBlock'];

/** The stack that a block belongs to, be it alone; null for what isn't stacked. */
export function stackOf(network: LayerSpec, place: number): Stack | null {
  const list = layerList(network);
  const kind = list?.children[list.order[place]]?.layer;
  if (!list || kind === undefined || !blocks.includes(kind)) return null;
  const same = (at: number): boolean => list.children[list.order[at]]?.layer === kind;
  let start = place;
  while (start > 0 && same(start - 1)) start--;
  let end = place + 1;
  while (end < list.order.length && same(end)) end++;
  const names = list.order.slice(start, end);
  const specs = new Set(names.map((name) => JSON.stringify(list.children[name])));
  return { start, names, alike: specs.size === 1 };
}

/** The network with so many blocks in a stack: new ones are like its last, and the last ones go first. */
export function resizeStack(network: LayerSpec, { start, names }: Stack, count: number): LayerSpec {
  const last = layerList(network)?.children[names[names.length - 1]];
  if (!last) return network;
  let next = network;
  for (let place = names.length; place < count; place++) next = insertLayer(next, last, start + place);
  for (const name of names.slice(Math.max(1, count))) next = removeLayer(next, name);
  return next;
}

/** The network with an option of layers set; the others keep theirs. */
export function setOption(
  network: LayerSpec,
  names: readonly string[],
  option: string,
  value: LayerSpec[string],
): LayerSpec {
  return names.reduce((next, name) => {
    const spec = layerList(next)?.children[name];
    return spec ? replaceLayer(next, name, { ...spec, [option]: value } as LayerSpec) : next;
  }, network);
}

/** What a person does with a layer of the list. */
export type LayerAction = 'up' | 'down' | 'duplicate' | 'remove' | 'below';
