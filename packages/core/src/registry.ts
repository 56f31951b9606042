import { TenonError, unknownName } from './errors.js';
import type { AnyLayer, Json, LayerSpec } from './layer.js';
import type { Transform, TransformationSpec } from './transform.js';

/** How layers of one name are rebuilt from their spec. */
export interface LayerDefinition<L = AnyLayer> {
  readonly kind: 'layer';
  readonly name: string;
  /** Raised when the options change their meaning; `build` still reads every older version. */
  readonly version: number;
  /** The layer of a spec. `path` is where it stands, for errors; containers hand it on to `buildLayer`. */
  build(spec: LayerSpec, registry: Registry, path: string): L;
}

/** How transforms of one name are rebuilt from their spec. */
export interface TransformDefinition<T = Transform> {
  readonly kind: 'transform';
  readonly name: string;
  readonly version: number;
  build(spec: TransformationSpec, registry: Registry): T;
}

// `unknown` because a definition of a narrower layer is a definition: what is built goes out as AnyLayer.
/** What a registry is made of. */
export type Definition = LayerDefinition<unknown> | TransformDefinition<unknown>;

/** Layers and transforms by name: what `loadModel` may build. A value; nothing registers itself. */
export interface Registry {
  readonly layers: { readonly [name: string]: LayerDefinition<unknown> };
  readonly transforms: { readonly [name: string]: TransformDefinition<unknown> };
}

/** A definition of a layer, for registries: `defineLayer({ name: 'dense', version: 1, build })`. */
export function defineLayer<L>(definition: Omit<LayerDefinition<L>, 'kind'>): LayerDefinition<L> {
  return Object.freeze({ kind: 'layer', ...definition });
}

/** A definition of a transform, for registries. */
export function defineTransform<T>(definition: Omit<TransformDefinition<T>, 'kind'>): TransformDefinition<T> {
  return Object.freeze({ kind: 'transform', ...definition });
}

/**
 * A registry of definitions and of other registries: `createRegistry(allLayers, allTransforms, myLayer)`. Throws
 * `INVALID_ARGUMENT` where two different definitions have one name.
 */
export function createRegistry(...parts: readonly (Definition | Registry)[]): Registry {
  const layers: Record<string, LayerDefinition<unknown>> = {};
  const transforms: Record<string, TransformDefinition<unknown>> = {};
  const add = <D extends Definition>(into: Record<string, D>, definition: D): void => {
    const known = Object.hasOwn(into, definition.name) ? into[definition.name] : undefined;
    if (known && known !== definition) {
      throw new TenonError({
        code: 'INVALID_ARGUMENT',
        where: 'createRegistry',
        message: `two different definitions of the ${definition.kind} '${definition.name}' were given`,
        hint: 'Give one of them another name.',
      });
    }
    into[definition.name] = definition;
  };
  for (const part of parts) {
    if ('kind' in part) {
      if (part.kind === 'layer') add(layers, part);
      else add(transforms, part);
      continue;
    }
    for (const definition of Object.values(part.layers)) add(layers, definition);
    for (const definition of Object.values(part.transforms)) add(transforms, definition);
  }
  return { layers, transforms };
}

/** The layer of a spec. Throws `UNKNOWN_NAME`, `FORMAT_TOO_NEW`, or what the layer's own `build` throws. */
export function buildLayer(spec: LayerSpec, registry: Registry, path = ''): AnyLayer {
  const where = path || 'model';
  if (!isSpec(spec) || typeof spec.layer !== 'string') throw notASpec(where, 'layer', spec);
  if (!Object.hasOwn(registry.layers, spec.layer)) {
    throw unknownName('layer', spec.layer, Object.keys(registry.layers), where);
  }
  const definition = registry.layers[spec.layer];
  checkVersion(`the layer '${spec.layer}'`, spec.version, definition.version, where);
  return definition.build(spec, registry, path) as AnyLayer;
}

/** The transform of a spec. Throws as `buildLayer` does. */
export function buildTransform(
  spec: TransformationSpec,
  registry: Registry,
  where = 'preprocessing',
): Transform {
  if (!isSpec(spec) || typeof spec.transform !== 'string') throw notASpec(where, 'transform', spec);
  if (!Object.hasOwn(registry.transforms, spec.transform)) {
    throw unknownName('transform', spec.transform, Object.keys(registry.transforms), where);
  }
  const definition = registry.transforms[spec.transform];
  checkVersion(`the transform '${spec.transform}'`, spec.version, definition.version, where);
  return definition.build(spec, registry) as Transform;
}

/** Throws `FORMAT_TOO_NEW` for a version that this build doesn't know, `ARTIFACT_INVALID` for one that is none. */
export function checkVersion(what: string, version: unknown, newest: number, where: string): void {
  if (!Number.isInteger(version) || (version as number) < 1) {
    throw new TenonError({
      code: 'ARTIFACT_INVALID',
      where,
      expected: `a version of ${what} of at least 1`,
      got: JSON.stringify(version) ?? 'none',
    });
  }
  if ((version as number) > newest) {
    throw new TenonError({
      code: 'FORMAT_TOO_NEW',
      where,
      expected: `${what} in version ${newest} or older`,
      got: `version ${version}`,
      hint: 'It was written by a newer release of Tenon: update the packages.',
    });
  }
}

function isSpec(spec: unknown): spec is { readonly [option: string]: Json } {
  return typeof spec === 'object' && spec !== null && !Array.isArray(spec);
}

function notASpec(where: string, kind: string, got: unknown): TenonError {
  return new TenonError({
    code: 'ARTIFACT_INVALID',
    where,
    expected: `a spec such as { "${kind}": "name", "version": 1 }`,
    got: (JSON.stringify(got) ?? String(got)).slice(0, 80),
  });
}
