import {
  type AnyLayer,
  buildLayer,
  defineLayer,
  formatSpec,
  isNode,
  type Layer,
  type LayerSpec,
  type Leaf,
  type None,
  type Params,
  type Registry,
  sameShape,
  TenonError,
  type TensorSpec,
} from '@tenon-ml/core';
import { add, type Tensor } from '@tensorflow/tfjs-core';
import { applyChildren, initChildren } from './children.js';
import { frozenLayer } from './frozen.js';
import { fromCall, fromSpec, type OptionSource, optionError, readOptions, specOptions } from './options.js';

/** What containers hold: layers from one tensor to one tensor. */
export type ChildLayer = Layer<Params<Leaf>, Params<Leaf>>;

type ParamsOf<L> = L extends Layer<infer P, infer _S, infer _In, infer _Out> ? P : never;
type StateOf<L> = L extends Layer<infer _P, infer S, infer _In, infer _Out> ? S : never;

/** The parameters of a container of these children; those without any are left out. */
export type ChildrenParams<C> = {
  readonly [N in keyof C as keyof ParamsOf<C[N]> extends never ? never : N]: ParamsOf<C[N]>;
};

/** The state of a container of these children; those without any are left out. */
export type ChildrenState<C> = {
  readonly [N in keyof C as keyof StateOf<C[N]> extends never ? never : N]: StateOf<C[N]>;
};

type Named<Tree> = keyof Tree extends never ? never : 'named';
type NamedParams<L> = L extends ChildLayer ? Named<ParamsOf<L>> : never;
type NamedState<L> = L extends ChildLayer ? Named<StateOf<L>> : never;

/** The parameters of a list of layers: none where none of them has any, otherwise of names that types don't know. */
export type ListParams<L extends readonly ChildLayer[]> = [NamedParams<L[number]>] extends [never]
  ? None
  : Params<Leaf>;

/** The state of a list of layers, likewise. */
export type ListState<L extends readonly ChildLayer[]> = [NamedState<L[number]>] extends [never]
  ? None
  : Params<Leaf>;

type Children = { readonly [name: string]: AnyLayer };

/**
 * Layers one after another: each takes what the one before gives; with none it is the identity.
 *
 * A list names its layers by kind and count: `sequential([conv2d(8, 3), relu(), conv2d(8, 3)])` has `conv2d_1`, `relu_1`
 * and `conv2d_2`. A name is the path of the parameters (`conv2d_1.kernel`) and of the initial draws, so a layer of
 * another kind that is put in between changes no other layer's weights. Given as an object, `sequential({ stem, head })`,
 * the names are yours, and the types know the paths.
 *
 * The same layer twice in a list is one layer with one set of parameters, called twice (for an object: `order`, as
 * in `sequential({ stem, block, head }, { order: ['stem', 'block', 'block', 'head'] })`); its state goes from call to
 * call, and its random numbers differ. A layer with parameters or state in two containers of one model, or under two
 * names, throws `SHARED_LAYER` at `init`; layers without may stand anywhere.
 *
 * Throws `INVALID_ARGUMENT` for names that are empty, hold a dot, or are a number (JavaScript would reorder those), and
 * for what isn't a layer.
 *
 * Spec: { layer: 'sequential', version: 1, children: { name: spec, … }, order: [name, …] }.
 */
export function sequential<const L extends readonly ChildLayer[]>(
  layers: L,
): Layer<ListParams<L>, ListState<L>>;
export function sequential<C extends { readonly [name: string]: ChildLayer }>(
  layers: C,
  options?: { readonly order?: readonly (keyof C & string)[] },
): Layer<ChildrenParams<C>, ChildrenState<C>>;
export function sequential(
  layers: readonly ChildLayer[] | { readonly [name: string]: ChildLayer },
  options: { readonly order?: readonly string[] } = {},
): unknown {
  const source = fromCall('sequential');
  const reader = readOptions(options, source);
  const order = reader.raw('order');
  reader.end();
  if (Array.isArray(layers)) {
    if (order === undefined) return sequentialOf(...nameByKind(layers, source), source);
    throw optionError(source, 'order', 'given with an object of layers only', order);
  }
  return sequentialOf(layers as unknown as Children, order ?? Object.keys(layers), source);
}

/** Rebuilds `sequential` from its spec; without `order` the layers run as `children` lists them. */
export const sequentialDefinition = /* @__PURE__ */ defineLayer({
  name: 'sequential',
  version: 1,
  build(spec, registry, path) {
    const source = fromSpec(path, 'sequential');
    const reader = readOptions(specOptions(spec), source);
    const children = buildChildren(reader.raw('children'), registry, path, source);
    const order = reader.raw('order', Object.keys(children));
    reader.end();
    return sequentialOf(children, order, source);
  },
});

/**
 * A residual connection: y = shortcut(x) + body(x), with the identity as the default shortcut.
 *
 * The two outputs have the same shape, or `init` throws `SHAPE_MISMATCH`: unlike PyTorch's + nothing is broadcast. The
 * children are called `body` and `shortcut`. He et al. 2016, "Deep residual learning for image recognition".
 *
 * Spec: { layer: 'residual', version: 1, children: { body: spec, shortcut: spec } }.
 */
export function residual<B extends ChildLayer>(
  body: B,
): Layer<ChildrenParams<{ body: B }>, ChildrenState<{ body: B }>>;
export function residual<B extends ChildLayer, S extends ChildLayer>(
  body: B,
  options: { readonly shortcut: S },
): Layer<ChildrenParams<{ body: B; shortcut: S }>, ChildrenState<{ body: B; shortcut: S }>>;
export function residual(body: ChildLayer, options: { readonly shortcut?: ChildLayer } = {}): unknown {
  const source = fromCall('residual');
  const reader = readOptions(options, source);
  const shortcut = reader.raw('shortcut') as ChildLayer | undefined;
  reader.end();
  return residualOf((shortcut ? { body, shortcut } : { body }) as unknown as Children, source);
}

/** Rebuilds `residual` from its spec. */
export const residualDefinition = /* @__PURE__ */ defineLayer({
  name: 'residual',
  version: 1,
  build(spec, registry, path) {
    const source = fromSpec(path, 'residual');
    const reader = readOptions(specOptions(spec), source);
    const built = buildChildren(reader.raw('children'), registry, path, source);
    reader.end();
    const { body, shortcut, ...others } = built;
    if (!body || Object.keys(others).length > 0) {
      throw optionError(source, 'children', '{ body } or { body, shortcut }', Object.keys(built));
    }
    return residualOf(shortcut ? { body, shortcut } : { body }, source);
  },
});

function sequentialOf(given: Children, rawOrder: unknown, source: OptionSource): AnyLayer {
  const children = checkChildren(given, source);
  const order = checkOrder(rawOrder, children, source);
  return frozenLayer({
    spec: { layer: 'sequential', version: 1, children: specsOf(children), order },
    children,
    init(key, input, path = '') {
      const run = initChildren(children, key, path);
      const output = order.reduce((spec, name) => run.child(name, spec), input);
      return { ...run.done(), output };
    },
    apply(params, state, input, context) {
      const run = applyChildren(children, params, state, context);
      const output = order.reduce((value, name) => run.child(name, value), input);
      return { ...run.done(), output };
    },
  }) as AnyLayer;
}

function residualOf(given: Children, source: OptionSource): ChildLayer {
  const children = checkChildren(given, source);
  const hasShortcut = Object.hasOwn(children, 'shortcut');
  return frozenLayer({
    spec: { layer: 'residual', version: 1, children: specsOf(children) },
    children,
    init(key, input: TensorSpec, path = '') {
      const run = initChildren(children, key, path);
      const body = run.child('body', input) as TensorSpec;
      const shortcut = hasShortcut ? (run.child('shortcut', input) as TensorSpec) : input;
      checkSum(body, shortcut, path);
      return { ...run.done(), output: body };
    },
    apply(params, state, input: Tensor, context) {
      const run = applyChildren(children, params, state, context);
      const body = run.child('body', input) as Tensor;
      const shortcut = hasShortcut ? (run.child('shortcut', input) as Tensor) : input;
      checkSum(body, shortcut, context.path);
      return { ...run.done(), output: add(shortcut, body) };
    },
  });
}

function checkSum(
  body: { shape: readonly (number | null)[]; dtype: string },
  shortcut: { shape: readonly (number | null)[]; dtype: string },
  path: string,
): void {
  if (sameShape(body.shape, shortcut.shape) && body.dtype === shortcut.dtype) return;
  throw new TenonError({
    code: body.dtype === shortcut.dtype ? 'SHAPE_MISMATCH' : 'DTYPE_MISMATCH',
    where: path || 'residual',
    expected: `an output of the body like the shortcut's, ${formatSpec(shortcut as TensorSpec)}`,
    got: formatSpec(body as TensorSpec),
    hint: 'Give it a shortcut that makes its input fit, such as { shortcut: conv2d(filters, 1) }.',
  });
}

/** `dense_1`, `relu_1`, `dense_2`, …: the layers by name, and the order of calls. */
function nameByKind(layers: readonly unknown[], source: OptionSource): [Children, string[]] {
  const names = new Map<AnyLayer, string>();
  const counts = new Map<string, number>();
  const order = layers.map((layer, index) => {
    if (!isLayer(layer)) throw notALayer(source, `layer ${index + 1} of the list`, layer);
    let name = names.get(layer);
    if (name === undefined) {
      const kind = layer.spec.layer;
      const count = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, count);
      name = `${kind}_${count}`;
      names.set(layer, name);
    }
    return name;
  });
  return [Object.fromEntries(Array.from(names, ([layer, name]) => [name, layer])), order];
}

function checkChildren(given: unknown, source: OptionSource): Children {
  if (!isNode(given) || Array.isArray(given)) {
    throw optionError(source, 'layers', 'a list or an object of layers', given);
  }
  for (const [name, layer] of Object.entries(given)) {
    if (name === '' || name.includes('.') || name === '__proto__' || /^\d+$/.test(name)) {
      throw optionError(
        source,
        'the name of a layer',
        "one that isn't empty, a number or '__proto__', without dots",
        name,
      );
    }
    if (!isLayer(layer)) throw notALayer(source, `'${name}'`, layer);
  }
  return { ...given } as Children;
}

function checkOrder(order: unknown, children: Children, source: OptionSource): readonly string[] {
  const names = Object.keys(children);
  const valid = Array.isArray(order) && order.every((name) => names.includes(name as string));
  if (!valid || names.some((name) => !order.includes(name))) {
    throw optionError(source, 'order', `a list of all of ${names.join(', ')}`, order);
  }
  return [...(order as string[])];
}

function buildChildren(specs: unknown, registry: Registry, path: string, source: OptionSource): Children {
  if (!isNode(specs) || Array.isArray(specs)) {
    throw optionError(source, 'children', 'an object of layer specs by name', specs);
  }
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, buildLayer(spec as LayerSpec, registry, at(name))]),
  );
}

function specsOf(children: Children): { readonly [name: string]: LayerSpec } {
  return Object.fromEntries(Object.entries(children).map(([name, layer]) => [name, layer.spec]));
}

function isLayer(value: unknown): value is AnyLayer {
  if (typeof value !== 'object' || value === null) return false;
  const { spec, init, apply } = value as Partial<AnyLayer>;
  return typeof spec?.layer === 'string' && typeof init === 'function' && typeof apply === 'function';
}

function notALayer(source: OptionSource, what: string, got: unknown): TenonError {
  const hint = typeof got === 'function' ? 'Call it: relu(), not relu.' : undefined;
  return new TenonError({
    ...source,
    expected: `${what} to be a layer`,
    got: got === null ? 'null' : typeof got === 'function' ? `the function ${got.name}` : typeof got,
    hint,
  });
}
