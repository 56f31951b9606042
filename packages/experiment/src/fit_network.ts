import type { LayerSpec, TensorSpec } from '@tenon-ml/core';
import type { ExperimentDocument } from './document.js';

/** What a network's ends have to fit. One of the three says how many numbers come out for each example or place. */
export interface NetworkEnds {
  /** Classes to tell apart: logits. */
  readonly classes?: number;
  /** Numbers to predict, in a regression. */
  readonly outputs?: number;
  /** Characters: of the embedding, and as logits over the next one. */
  readonly vocabulary?: number;
  /** What goes in, after preprocessing. Of a sequence [batch, context] the positions have to be that many at least. */
  readonly input?: TensorSpec;
}

/**
 * The document with its network's ends fitted to data: the last `dense` gives as many outputs as there are classes,
 * numbers or characters; an `embedding` has a row for each character, and a `positionEmbedding` one for each place. Other
 * layers, and layers within blocks, stay as they are. The same document where everything fits.
 */
export function fitNetwork(document: ExperimentDocument, ends: NetworkEnds): ExperimentDocument {
  const units = ends.vocabulary ?? ends.classes ?? ends.outputs;
  const positions = ends.input?.shape.length === 2 ? ends.input.shape[1] : null;
  let network = document.network;
  if (units !== undefined) network = withLastDense(network, units) ?? network;
  network = mapLayers(network, (spec) => {
    if (spec.layer === 'embedding' && ends.vocabulary !== undefined) {
      return withOption(spec, 'vocabulary', ends.vocabulary);
    }
    if (spec.layer === 'positionEmbedding' && positions !== null && Number(spec.length) < positions) {
      return withOption(spec, 'length', positions);
    }
    return spec;
  });
  return network === document.network ? document : { ...document, network };
}

/** The network whose last dense has so many units; undefined for one without a dense. */
function withLastDense(spec: LayerSpec, units: number): LayerSpec | undefined {
  if (spec.layer === 'dense') return withOption(spec, 'units', units);
  const children = childrenOf(spec);
  if (!children) return undefined;
  const order = (spec.order as readonly string[] | undefined) ?? Object.keys(children);
  for (const name of [...order].reverse()) {
    const child = children[name] && withLastDense(children[name], units);
    if (child) return child === children[name] ? spec : { ...spec, children: { ...children, [name]: child } };
  }
  return undefined;
}

/** `f` of every layer that a 'sequential' holds, however deep; the same object where nothing changes. */
function mapLayers(spec: LayerSpec, f: (spec: LayerSpec) => LayerSpec): LayerSpec {
  const children = childrenOf(spec);
  if (!children) return f(spec);
  const entries = Object.entries(children).map(([name, child]) => [name, mapLayers(child, f)] as const);
  const changed = entries.some(([name, child]) => child !== children[name]);
  return changed ? { ...spec, children: Object.fromEntries(entries) } : spec;
}

function childrenOf({ layer, children }: LayerSpec): { readonly [name: string]: LayerSpec } | undefined {
  const holds = layer === 'sequential' && typeof children === 'object' && children !== null;
  return holds ? (children as { readonly [name: string]: LayerSpec }) : undefined;
}

function withOption(spec: LayerSpec, name: string, value: number): LayerSpec {
  return spec[name] === value ? spec : { ...spec, [name]: value };
}
