import { buildLayer, isTenonError, type Json, type LayerSpec } from '@tenon-ml/core';
import { layers } from '@tenon-ml/layers/all';
import { bracketed, type Code, call, layOut, literal, object, quoted } from './code_layout.js';
import { type LayerList, layerList } from './edit_network.js';

/** The options that stand before the others, by layer. */
const positional: { readonly [layer: string]: readonly string[] } = {
  avgPool2d: ['poolSize'],
  conv2d: ['filters', 'kernelSize'],
  dense: ['units'],
  dropout: ['rate'],
  embedding: ['vocabulary', 'width'],
  lstm: ['units'],
  maxPool2d: ['poolSize'],
  positionEmbedding: ['length'],
  resnetBlock: ['filters'],
};

/**
 * A network as code, an expression: `sequential([conv2d(32, 3, { padding: 'same' }), relu(), …])`. Options that are the
 * defaults are left out. A list whose names aren't those that `sequential` would give, as edits leave it, is an object of
 * layers by name. What the code makes has the same spec.
 *
 * Throws what `buildLayer` throws for a network that doesn't build.
 */
export function networkCode(network: LayerSpec): string {
  return layOut(layerCode(checked(network)));
}

/** The names of the functions that a network's code calls, sorted. */
export function networkImports(network: LayerSpec): string[] {
  const names = new Set<string>();
  const visit = (spec: LayerSpec): void => {
    names.add(spec.layer);
    for (const child of Object.values(childrenOf(spec))) visit(child);
  };
  visit(checked(network));
  return [...names].sort();
}

export function layerCode(spec: LayerSpec): Code {
  if (spec.layer === 'sequential') return sequentialCode(layerList(spec) as LayerList);
  if (spec.layer === 'residual') {
    const { body, shortcut } = childrenOf(spec);
    const options = shortcut && object({ shortcut: layerCode(shortcut) });
    return call('residual', [layerCode(body), ...(options ? [options] : [])]);
  }
  const { layer, version: _, ...all } = spec;
  const first = positional[layer] ?? [];
  const named = neededOptions(spec, first);
  const options = Object.fromEntries(named.map((name) => [name, valueCode(all[name])]));
  return call(layer, [
    ...first.map((name) => valueCode(all[name])),
    ...(named.length > 0 ? [object(options)] : []),
  ]);
}

function sequentialCode({ children, order }: LayerList): Code {
  const counts = new Map<string, number>();
  const listed = order.every((name) => {
    const count = (counts.get(children[name].layer) ?? 0) + 1;
    counts.set(children[name].layer, count);
    return name === `${children[name].layer}_${count}`;
  });
  const tall = order.length > 1;
  const names = Object.keys(children);
  if (listed && names.length === order.length && names.every((name, i) => name === order[i])) {
    return call('sequential', [
      bracketed(
        '[',
        order.map((name) => layerCode(children[name])),
        ']',
        tall,
      ),
    ]);
  }
  const byName = object(Object.fromEntries(names.map((name) => [name, layerCode(children[name])])));
  const layersCode = typeof byName === 'string' ? byName : { ...byName, tall };
  if (names.length === order.length && names.every((name, i) => name === order[i])) {
    return call('sequential', [layersCode]);
  }
  return bracketed(
    'sequential(',
    [layersCode, object({ order: bracketed('[', order.map(quoted), ']') })],
    ')',
  );
}

/** The options, of all but the positional ones, without which the layer would be another. */
function neededOptions(spec: LayerSpec, first: readonly string[]): string[] {
  const whole = JSON.stringify(spec);
  let kept = spec;
  for (const name of Object.keys(spec)) {
    if (name === 'layer' || name === 'version' || first.includes(name)) continue;
    const { [name]: _, ...rest } = kept;
    if (specWithout(rest as LayerSpec) === whole) kept = rest as LayerSpec;
  }
  return Object.keys(kept).filter((name) => name !== 'layer' && name !== 'version' && !first.includes(name));
}

/** The whole spec of a layer of these options, as JSON; undefined where they aren't enough. */
function specWithout(spec: LayerSpec): string | undefined {
  try {
    return JSON.stringify(buildLayer(spec, layers).spec);
  } catch (error) {
    if (isTenonError(error)) return undefined;
    throw error;
  }
}

/** A pair of equals as one number. */
function valueCode(value: Json): Code {
  const [first, second, ...more] = Array.isArray(value) ? (value as readonly Json[]) : [];
  const pair = typeof first === 'number' && first === second && more.length === 0;
  return literal(pair ? first : value);
}

/** The spec with every option written out, in the order of the layers' own. */
function checked(network: LayerSpec): LayerSpec {
  return buildLayer(network, layers).spec;
}

function childrenOf({ children }: LayerSpec): { readonly [name: string]: LayerSpec } {
  return (children ?? {}) as { readonly [name: string]: LayerSpec };
}
