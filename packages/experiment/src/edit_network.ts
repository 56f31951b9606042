import type { LayerSpec } from '@tenon-ml/core';
// Not from the root, which brings TensorFlow.js: './document' is for pages that compute elsewhere.
import { TenonError } from '@tenon-ml/core/errors';

/** The layers of a 'sequential' by name, and the order of their calls. */
export interface LayerList {
  readonly children: { readonly [name: string]: LayerSpec };
  readonly order: readonly string[];
}

/** The list that a 'sequential' is; undefined for another spec, and for one whose parts contradict each other. */
export function layerList(network: LayerSpec): LayerList | undefined {
  const { layer, children, order } = network;
  if (
    layer !== 'sequential' ||
    typeof children !== 'object' ||
    children === null ||
    Array.isArray(children)
  ) {
    return undefined;
  }
  const byName = children as { readonly [name: string]: LayerSpec };
  const calls = (order ?? Object.keys(byName)) as readonly string[];
  const valid = Array.isArray(calls) && calls.every((name) => Object.hasOwn(byName, name));
  return valid ? { children: byName, order: calls } : undefined;
}

/** A name by kind and the first count that is free: `dense_1`, `dense_2`, …. */
export function freeName(network: LayerSpec, layer: string): string {
  const { children } = listOf(network);
  const kind = layer.replace(/\./g, '_') || 'layer';
  for (let count = 1; ; count++) {
    const name = `${kind}_${count}`;
    if (!Object.hasOwn(children, name)) return name;
  }
}

/**
 * The network with a layer put in at a place, 0 for the first; the place behind the last by default. All others keep their
 * names, and so their paths, initial values and trained weights; the new one has a name by kind and the first free count.
 *
 * This and the other edits are pure, and take a 'sequential': they throw `INVALID_ARGUMENT` for another network, and for a
 * name or place that it doesn't have.
 */
export function insertLayer(network: LayerSpec, layer: LayerSpec, at?: number): LayerSpec {
  const { children, order } = listOf(network);
  const place = checkPlace(at ?? order.length, order.length);
  const name = freeName(network, layer.layer);
  return rebuilt(network, { ...children, [name]: layer }, order.toSpliced(place, 0, name));
}

/** The network without a layer, and without any call of it. */
export function removeLayer(network: LayerSpec, name: string): LayerSpec {
  const { children, order } = listOf(network);
  checkName(children, name);
  return rebuilt(
    network,
    children,
    order.filter((other) => other !== name),
  );
}

/** The network with a layer at another place, counted without it; of one that is called twice, its first call. */
export function moveLayer(network: LayerSpec, name: string, to: number): LayerSpec {
  const { children, order } = listOf(network);
  checkName(children, name);
  const rest = order.toSpliced(order.indexOf(name), 1);
  return rebuilt(network, children, rest.toSpliced(checkPlace(to, rest.length), 0, name));
}

/** The network with another layer in a place: of the same kind under the same name, of another under a new one. */
export function replaceLayer(network: LayerSpec, name: string, layer: LayerSpec): LayerSpec {
  const { children, order } = listOf(network);
  checkName(children, name);
  const same = children[name].layer === layer.layer;
  const next = same ? name : freeName(network, layer.layer);
  const entries = Object.entries(children).map(([other, spec]) =>
    other === name ? ([next, layer] as const) : ([other, spec] as const),
  );
  return rebuilt(
    network,
    Object.fromEntries(entries),
    order.map((other) => (other === name ? next : other)),
  );
}

/** Children in the order of their first calls, as `sequential` lists them; those that aren't called any more go. */
function rebuilt(network: LayerSpec, children: LayerList['children'], order: readonly string[]): LayerSpec {
  const entries = [...new Set(order)].map((name) => [name, children[name]] as const);
  return { ...network, children: Object.fromEntries(entries), order };
}

function listOf(network: LayerSpec): LayerList {
  const list = layerList(network);
  if (list) return list;
  throw invalid("a 'sequential' of layers by name", `'${network.layer}'`);
}

function checkName(children: LayerList['children'], name: string): void {
  if (Object.hasOwn(children, name)) return;
  throw invalid(
    `one of its layers, ${Object.keys(children).join(', ') || 'of which there are none'}`,
    `'${name}'`,
  );
}

function checkPlace(place: number, last: number): number {
  if (Number.isInteger(place) && place >= 0 && place <= last) return place;
  throw invalid(`a place from 0 to ${last}`, String(place));
}

function invalid(expected: string, got: string): TenonError {
  return new TenonError({ code: 'INVALID_ARGUMENT', where: 'network', expected, got });
}
