import '@tensorflow/tfjs-backend-cpu';
import {
  type AnyLayer,
  type Backend,
  buildLayer,
  compile,
  createContext,
  createKey,
  type Device,
  formatSpec,
  type Host,
  type Initialized,
  isNode,
  type Key,
  type Layer,
  type LayerSpec,
  type Leaf,
  matchesSpec,
  type NdArray,
  ndarray,
  type Params,
  type Registry,
  read,
  sameBits,
  sizeOf,
  type TensorSpec,
  type Tree,
  tensorCount,
  tfjsBackend,
  treeEntries,
  treeLeaves,
  valueAndGrad,
} from '@tenon-ml/core';
import { add, cast, scalar, sum, type Tensor } from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

type AnyParams = Params<Leaf>;
type AnyInitialized = Initialized<AnyParams, AnyParams, Tree<Tensor>>;

export interface LayerCheckOptions {
  /** Rebuilds the layer from its spec. */
  readonly registry: Registry;
  /** tfjs-backend-cpu by default. */
  readonly backend?: Backend;
}

/**
 * The contract of a layer, for any of them: one row of a table each. `input` has null as its batch size.
 *
 * - It is frozen, spec and children too, and JSON takes its spec there and back.
 * - `init` repeats its bits, makes no tensors, and names every leaf (no empty node but the root).
 * - What the registry rebuilds from the spec has the same spec, initial values, outputs, states and gradients, bit
 *   for bit.
 * - Outputs have the shape and dtype that `init` promised, for several batch sizes, in training and out of it.
 * - The state keeps its paths, shapes and dtypes; out of training it doesn't change.
 * - Gradients have the paths and shapes of the parameters, and are finite; calls repeat their bits.
 * - Containers show what each of their children gives.
 * - No tensor stays behind, nor where something after the layer throws.
 */
export async function checkLayer<P extends AnyParams, S extends AnyParams>(
  layer: Layer<P, S>,
  input: TensorSpec,
  { registry, backend = tfjsBackend('cpu') }: LayerCheckOptions,
): Promise<void> {
  const subject = layer as unknown as AnyLayer;
  await backend.init();
  checkFrozen(subject);

  const json = JSON.parse(JSON.stringify(subject.spec)) as LayerSpec;
  expect(json, 'the spec, through JSON').toStrictEqual(subject.spec);
  const rebuilt = buildLayer(json, registry);
  expect(rebuilt.spec, 'the spec of the rebuilt layer').toEqual(subject.spec);

  const key = createKey(7);
  const tensorsBefore = tensorCount();
  const made = initialize(subject, key, input);
  expect(tensorCount(), 'tensors made by init').toBe(tensorsBefore);
  checkNames(made.params, 'params');
  checkNames(made.state, 'state');
  expectSameBits(initialize(subject, key, input).params, made.params, 'params of a second init');
  const remade = initialize(rebuilt, key, input);
  expectSameBits(remade.params, made.params, 'params of the rebuilt layer');
  expectSameBits(remade.state, made.state, 'state of the rebuilt layer');
  expect(remade.output, 'output spec of the rebuilt layer').toEqual(made.output);

  for (const training of [true, false]) {
    for (const batch of [2, 3]) {
      const where = `${training ? 'training' : 'evaluation'}, batch ${batch}`;
      const x = example(input, batch);
      const first = await run(subject, made, x, training, backend);
      const again = await run(subject, made, x, training, backend);
      const other = await run(rebuilt, made, x, training, backend);
      for (const part of ['output', 'state', 'grads'] as const) {
        expectSameBits(again[part], first[part], `${where}: ${part} of a second call`);
        expectSameBits(other[part], first[part], `${where}: ${part} of the rebuilt layer`);
      }
      checkOutput(first.output, made.output, where);
      expectLike(first.state, made.state, `${where}: state`);
      if (!training) expectSameBits(first.state, made.state, `${where}: state`);
      expectLike(first.grads, made.params, `${where}: gradients`);
      for (const [path, { data }] of treeEntries<NdArray>(first.grads)) {
        expect(
          Array.from(data, Number).every(Number.isFinite),
          `${where}: gradient of ${path} is finite`,
        ).toBe(true);
      }
      for (const name of Object.keys(subject.children ?? {})) {
        expect(first.taps, `${where}: taps`).toContain(name);
      }
      expect(tensorCount(), `${where}: tensors`).toBe(tensorsBefore);
    }
  }

  const failing = compile(
    (params: Device<AnyParams>, state: Device<AnyParams>, x: Tensor, words: Tensor) => {
      const context = createContext({ training: true, key: words });
      const total = valueAndGrad((p: Device<AnyParams>) => {
        const { output } = subject.apply(p, state, x, context);
        if (treeLeaves<Tensor>(output).length > 0) throw new RangeError('thrown behind the layer');
        return scalar(0);
      })(params);
      return total.value;
    },
    { backend },
  );
  expect(() => failing(made.params, made.state, example(input, 2), key.toNdArray())).toThrow(
    'behind the layer',
  );
  expect(tensorCount(), 'tensors after a throw').toBe(tensorsBefore);
}

interface RunResult {
  readonly output: Tree<NdArray>;
  readonly state: Host<AnyParams>;
  readonly grads: Host<AnyParams>;
  /** The paths that were tapped. */
  readonly taps: readonly string[];
}

/** Calls a layer once; the gradients are those of the sum of its float32 outputs and of its losses. */
async function run(
  layer: AnyLayer,
  { params, state }: AnyInitialized,
  x: NdArray,
  training: boolean,
  backend: Backend,
): Promise<RunResult> {
  const taps: string[] = [];
  const step = compile(
    (p: Device<AnyParams>, s: Device<AnyParams>, input: Tensor, words: Tensor) => {
      const context = createContext({ training, key: words, onTap: (path) => void taps.push(path) });
      const { grads, aux } = valueAndGrad(
        (given: Device<AnyParams>) => {
          const applied = layer.apply(given, s, input, context);
          const terms = [...treeLeaves<Tensor>(applied.output), ...(applied.losses ?? [])];
          const value = terms
            .map((term) => sum(cast(term, 'float32')))
            .reduce((a, b) => add(a, b), scalar(0));
          return [value, [applied.output, applied.state] as const] as const;
        },
        { aux: true },
      )(p);
      return [grads, ...aux] as const;
    },
    { backend, name: layer.spec.layer },
  );
  const [grads, output, after] = await read(step(params, state, x, createKey(11).toNdArray()));
  return { output: output as Tree<NdArray>, state: after, grads, taps };
}

function initialize(layer: AnyLayer, key: Key, input: TensorSpec): AnyInitialized {
  return layer.init(key, input as Parameters<AnyLayer['init']>[1]);
}

/** An input of this spec: normal numbers, or small integers; the free sizes after the batch become 9. */
function example({ shape, dtype }: TensorSpec, batch: number): NdArray {
  const full = shape.map((size, axis) => (axis === 0 ? batch : (size ?? 9)));
  const key = createKey(3).foldIn(batch);
  if (dtype === 'float32') return key.normal(full);
  if (dtype === 'bool')
    return ndarray(
      'bool',
      full,
      Uint8Array.from(key.bits(sizeOf(full)), (word) => word % 2),
    );
  return ndarray(
    'int32',
    full,
    Int32Array.from(key.bits(sizeOf(full)), (word) => word % 10),
  );
}

function checkFrozen(layer: AnyLayer): void {
  expect(Object.isFrozen(layer), 'the layer is frozen').toBe(true);
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    expect(Object.isFrozen(value), `${path} is frozen`).toBe(true);
    for (const [name, child] of Object.entries(value)) walk(child, `${path}.${name}`);
  };
  walk(layer.spec, 'spec');
  if (!layer.children) return;
  expect(Object.isFrozen(layer.children), 'children are frozen').toBe(true);
  for (const child of Object.values(layer.children)) checkFrozen(child);
}

function checkNames(tree: Host<AnyParams>, what: string): void {
  const walk = (node: unknown, path: string): void => {
    if (!isNode(node)) return;
    expect(Object.keys(node), `${path} has no empty node`).not.toHaveLength(0);
    for (const [name, child] of Object.entries(node)) walk(child, `${path}.${name}`);
  };
  for (const [name, child] of Object.entries(tree)) walk(child, `${what}.${name}`);
}

function checkOutput(output: Tree<NdArray>, promised: AnyInitialized['output'], where: string): void {
  const specs = new Map(treeEntries<TensorSpec>(promised as Tree<TensorSpec>));
  const values = treeEntries<NdArray>(output);
  expect(
    values.map(([path]) => path),
    `${where}: paths of the output`,
  ).toEqual([...specs.keys()]);
  for (const [path, value] of values) {
    const spec = specs.get(path) as TensorSpec;
    const message = `${where}: output ${path} is ${formatSpec(value)}, init promised ${formatSpec(spec)}`;
    expect(matchesSpec(value, spec), message).toBe(true);
  }
}

/** The same paths, shapes and dtypes. */
function expectLike(actual: Tree<NdArray>, wanted: Tree<NdArray>, what: string): void {
  const describe = (tree: Tree<NdArray>): string[] =>
    treeEntries<NdArray>(tree)
      .map(([path, value]) => `${path} ${formatSpec(value)}`)
      .sort();
  expect(describe(actual), what).toEqual(describe(wanted));
}

function expectSameBits(actual: Tree<NdArray>, wanted: Tree<NdArray>, what: string): void {
  expectLike(actual, wanted, what);
  const known = new Map(treeEntries<NdArray>(wanted));
  for (const [path, value] of treeEntries<NdArray>(actual)) {
    expect(sameBits(value, known.get(path) as NdArray), `${what}: bits of ${path || 'the value'}`).toBe(true);
  }
}
