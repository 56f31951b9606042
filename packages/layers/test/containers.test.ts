import '@tensorflow/tfjs-backend-cpu';
import {
  buildLayer,
  compile,
  createContext,
  createKey,
  type Device,
  fromNested,
  type Layer,
  type LayerSpec,
  type Leaf,
  type NdArray,
  type None,
  type Params,
  read,
  sameBits,
  type TensorSpec,
  tfjsBackend,
  toNested,
  treeEntries,
  treeLeaves,
} from '@tenon-ml/core';
import { mul, sum, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { layers } from '../src/all.js';
import {
  batchNorm,
  type ChildLayer,
  conv2d,
  dense,
  dropout,
  flatten,
  relu,
  residual,
  sequential,
  tanh,
} from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

const key = createKey(1);
const vectors = (features: number): TensorSpec => ({ dtype: 'float32', shape: [null, features] });
const images = (...shape: number[]): TensorSpec => ({ dtype: 'float32', shape: [null, ...shape] });
const pathsOf = (tree: object): string[] =>
  treeEntries<NdArray>(tree as Params<NdArray>).map(([path]) => path);

/** Applies a layer in training, and gives what came out: output, state, losses, and what was tapped. */
async function trained(layer: ChildLayer, x: NdArray, params?: Params<NdArray>) {
  const made = layer.init(key, { dtype: 'float32', shape: x.shape });
  const taps: string[] = [];
  const call = compile(
    (p: Device<Params<Leaf>>, s: Device<Params<Leaf>>, input: Tensor, words: Tensor) => {
      const context = createContext({ training: true, key: words, onTap: (path) => void taps.push(path) });
      const { output, state, losses = [] } = layer.apply(p, s, input, context);
      return { output, state, losses };
    },
    { backend },
  );
  return { taps, ...(await read(call(params ?? made.params, made.state, x, createKey(2).toNdArray()))) };
}

/** y = x, with x · x as a loss. */
const penalized: Layer<None, None> = Object.freeze({
  spec: { layer: 'penalized', version: 1 },
  init: (_key: unknown, output: TensorSpec) => ({ params: {}, state: {}, output }),
  apply: (_params: object, state: object, input: Tensor) => ({
    output: input,
    state,
    losses: [sum(mul(input, input))],
  }),
});

describe('names', () => {
  test('count by kind', () => {
    const model = sequential([conv2d(2, 3), relu(), conv2d(2, 3), relu(), flatten(), dense(3)]);
    expect(model.spec.order).toEqual(['conv2d_1', 'relu_1', 'conv2d_2', 'relu_2', 'flatten_1', 'dense_1']);
    expect(pathsOf(model.init(key, images(7, 7, 1)).params)).toEqual([
      'conv2d_1.kernel',
      'conv2d_1.bias',
      'conv2d_2.kernel',
      'conv2d_2.bias',
      'dense_1.kernel',
      'dense_1.bias',
    ]);
  });

  test('nest', () => {
    const model = sequential({
      stem: sequential([dense(3), residual(dense(3), { shortcut: dense(3, { bias: false }) })]),
      head: dense(2),
    });
    expect(pathsOf(model.init(key, vectors(4)).params)).toEqual([
      'stem.dense_1.kernel',
      'stem.dense_1.bias',
      'stem.residual_1.body.kernel',
      'stem.residual_1.body.bias',
      'stem.residual_1.shortcut.kernel',
      'head.kernel',
      'head.bias',
    ]);
  });

  test('stay, and so do the initial weights, whatever layers of other kinds are put in between', () => {
    const others = fc.constantFrom(
      () => relu(),
      () => tanh(),
      () => dropout(0.5),
      () => batchNorm(),
    );
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(fc.nat(4), others), { maxLength: 5 }),
        (widths, inserted) => {
          const plain = sequential(widths.map((units) => dense(units)));
          const list: ChildLayer[] = widths.map((units) => dense(units));
          for (const [at, make] of inserted) list.splice(Math.min(at, list.length), 0, make());
          const wanted = treeEntries<NdArray>(plain.init(key, vectors(3)).params as Params<NdArray>);
          const got = new Map(
            treeEntries<NdArray>(sequential(list).init(key, vectors(3)).params as Params<NdArray>),
          );
          for (const [path, value] of wanted)
            expect(sameBits(got.get(path) as NdArray, value), path).toBe(true);
        },
      ),
    );
  });

  test('are what initial weights are drawn from', () => {
    const model = sequential([dense(3), sequential({ inner: dense(3) }), residual(dense(3))]);
    const { params } = model.init(key, vectors(3));
    const kernels = new Map(treeEntries<NdArray>(params as Params<NdArray>));
    for (const path of ['dense_1', 'sequential_1.inner', 'residual_1.body']) {
      const own = path.split('.').reduce((folded, name) => folded.foldIn(name), key);
      const alone = dense(3).init(own, vectors(3)).params.kernel;
      expect(sameBits(kernels.get(`${path}.kernel`) as NdArray, alone), path).toBe(true);
    }
  });

  test('of objects keep their order through JSON, or are refused', () => {
    const name = fc.oneof(
      fc.string(),
      fc.nat().map(String),
      fc.constantFrom('constructor', '__proto__', 'toString', 'a.b', '', '01', '-1', '1e3'),
    );
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 6 }), (names) => {
        const children = Object.fromEntries(names.map((one, i) => [one, dense(i + 1)]));
        const bad = names.some(
          (one) => one === '' || one === '__proto__' || one.includes('.') || /^\d+$/.test(one),
        );
        if (bad) {
          expect(() => sequential(children)).toThrow(/the name of a layer/);
          return;
        }
        const model = sequential(children);
        expect(model.spec.order).toEqual(names);
        const sorted = JSON.parse(JSON.stringify(model.spec), (_key, value) =>
          typeof value === 'object' && !Array.isArray(value)
            ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
            : value,
        ) as LayerSpec;
        const rebuilt = buildLayer(sorted, layers);
        expect(rebuilt.spec).toEqual(model.spec);
        expect(rebuilt.init(key, vectors(2)).output).toEqual(vectors(names.length));
        expect(Object.keys(model.init(key, vectors(2)).params)).toEqual(names);
      }),
    );
  });
});

describe('sequential', () => {
  test('applies its layers one after another, and taps each', async () => {
    const model = sequential({ first: dense(2, { bias: false }), second: relu(), third: dense(1) });
    const params = {
      first: {
        kernel: fromNested([
          [1, -1],
          [2, 3],
        ]),
      },
      third: { kernel: fromNested([[10], [100]]), bias: fromNested([0.5]) },
    };
    // [1, 1] · first = [3, 2]; [-1, 0] · first = [-1, 1], of which relu leaves [0, 1].
    const { output, taps } = await trained(
      model,
      fromNested([
        [1, 1],
        [-1, 0],
      ]),
      params,
    );
    expect(toNested(output as NdArray)).toEqual([[230.5], [100.5]]);
    expect(taps).toEqual(['first', 'second', 'third']);
  });

  test('taps what its children tap, with their whole path', async () => {
    const model = sequential({
      stem: sequential([relu(), tanh()]),
      join: residual(tanh(), { shortcut: relu() }),
    });
    const { taps } = await trained(model, fromNested([[1]]));
    expect(taps).toEqual(['stem.relu_1', 'stem.tanh_1', 'stem', 'join.body', 'join.shortcut', 'join']);
  });

  test('hands on the losses of its children, in the order of calls', async () => {
    const model = sequential([penalized, dense(1, { kernelInitializer: 'ones' }), residual(penalized)]);
    const { losses } = await trained(model, fromNested([[1, 2]]));
    expect((losses as NdArray[]).map((loss) => toNested(loss))).toEqual([5, 9]);
  });

  test('returns the state that it was given where nothing changes', async () => {
    const model = sequential({ norm: batchNorm(), inner: sequential([dense(2)]) });
    const { params, state } = model.init(key, vectors(2));
    let same = false;
    let changed = false;
    const call = compile(
      (p: Device<typeof params>, s: Device<typeof state>, x: Tensor) => {
        const evaluated = model.apply(p as never, s as never, x, createContext({ training: false }));
        const inTraining = model.apply(p as never, s as never, x, createContext({ training: true }));
        same = (evaluated.state as unknown) === s;
        changed = (inTraining.state as unknown) !== s;
        return evaluated.output;
      },
      { backend },
    );
    await read(
      call(
        params as never,
        state as never,
        fromNested([
          [1, 2],
          [3, 4],
        ]),
      ),
    );
    expect({ same, changed }).toEqual({ same: true, changed: true });
  });

  test('refuses what is no layer, and says what to do', () => {
    expect(() => sequential([dense(1), relu as never])).toThrow(
      'sequential: expected layer 2 of the list to be a layer, got the function relu. Call it: relu(), not relu.',
    );
    expect(() => sequential({ a: null as never })).toThrow("expected 'a' to be a layer, got null");
    expect(() => sequential(7 as never)).toThrow(
      'expected layers to be a list or an object of layers, got 7',
    );
    const loose = sequential as unknown as (layers: unknown, options: unknown) => unknown;
    expect(() => loose([relu()], { order: ['relu_1'] })).toThrow(
      'sequential: expected order to be given with an object of layers only, got ["relu_1"].',
    );
    expect(() => sequential({ a: relu(), b: relu() }, { order: ['a'] })).toThrow('a list of all of a, b');
    expect(() => sequential({ a: relu() }, { order: ['a', 'c'] as never })).toThrow('a list of all of a');
    expect(() => sequential({ a: relu() }, { ordre: [] } as never)).toThrow("Did you mean 'order'?");
  });

  test('refuses specs that it could not have written, naming the path', () => {
    const build = (spec: object): unknown => buildLayer(spec as LayerSpec, layers, 'net');
    const dense1 = { layer: 'dense', version: 1, units: 1 };
    expect(() => build({ layer: 'sequential', version: 1 })).toThrow(
      'net: expected children to be an object',
    );
    expect(() => build({ layer: 'sequential', version: 1, children: [dense1] })).toThrow('children');
    expect(() => build({ layer: 'sequential', version: 1, children: { a: dense1 }, order: ['b'] })).toThrow(
      'net: expected order',
    );
    expect(() => build({ layer: 'sequential', version: 1, children: { '1': dense1 } })).toThrow('the name');
    const nested = { layer: 'sequential', version: 1, children: { a: { ...dense1, units: 0 } } };
    expect(() => build({ layer: 'residual', version: 1, children: { body: nested } })).toThrow(
      'net.body.a: expected units to be an integer of at least 1, got 0',
    );
    expect(() => build({ layer: 'residual', version: 1, children: { main: dense1 } })).toThrow(
      '{ body, shortcut }',
    );
    expect(() => build({ layer: 'residual', version: 1, children: { body: dense1, more: dense1 } })).toThrow(
      '{ body, shortcut }',
    );
  });
});

describe('a layer that is shared', () => {
  test('within a list is one child, called twice', async () => {
    const layer = dense(2);
    const model = sequential([layer, relu(), layer]);
    expect(model.spec.order).toEqual(['dense_1', 'relu_1', 'dense_1']);
    expect(pathsOf(model.init(key, vectors(2)).params)).toEqual(['dense_1.kernel', 'dense_1.bias']);
    const params = {
      dense_1: {
        kernel: fromNested([
          [0, 2],
          [1, 0],
        ]),
        bias: fromNested([1, 0]),
      },
    };
    // [3, 4] → [5, 6] → [7, 10]
    expect(toNested((await trained(model, fromNested([[3, 4]]), params)).output as NdArray)).toEqual([
      [7, 10],
    ]);
  });

  test('does not advance the count of its kind', () => {
    const layer = dense(2);
    expect(sequential([layer, layer, dense(2)]).spec.order).toEqual(['dense_1', 'dense_1', 'dense_2']);
  });

  test('goes on from its own state', async () => {
    const norm = batchNorm({ momentum: 0.5, scale: false, bias: false });
    const { state } = await trained(sequential([norm, norm]), fromNested([[1], [3]]));
    // The first call sees the mean 2, the second 0: 0.5 · (0.5 · 0 + 0.5 · 2) + 0.5 · 0.
    const { mean } = (state as { batchNorm_1: { mean: NdArray } }).batchNorm_1;
    expect(toNested(mean)).toEqual([0.5]);
  });

  test('must take inputs of one size', () => {
    const layer = dense(3);
    expect(() => sequential([layer, layer]).init(key, vectors(2), 'net')).toThrow(
      "net.dense_1: expected an input as in this layer's first call, for which kernel is [2, 3], got one for which " +
        'it is [3, 3].',
    );
  });

  test('by two containers is refused with both paths, however deep', () => {
    const layer = dense(2);
    const model = sequential({ a: sequential([layer]), b: sequential({ c: sequential([relu(), layer]) }) });
    expect(() => model.init(key, vectors(2))).toThrow(
      'b.c.dense_1: this dense layer also stands at a.dense_1, and its parameters have one path.',
    );
    expect(() => model.init(key, vectors(2), 'net')).toThrow(
      'net.b.c.dense_1: this dense layer also stands at net.a',
    );
    expect(() => sequential({ a: layer, b: layer }).init(key, vectors(2))).toThrow(
      'b: this dense layer also stands at a',
    );
    expect(() => residual(layer, { shortcut: layer }).init(key, vectors(2))).toThrow('shortcut');
    const block = sequential([dense(2)]);
    expect(() => sequential([block, residual(block)]).init(key, vectors(2))).toThrow(
      'residual_1.body: this sequential layer also stands at sequential_1',
    );
    const norm = batchNorm({ scale: false, bias: false });
    expect(() => sequential([norm, residual(norm)]).init(key, vectors(2))).toThrow(/SHARED|also stands at/);
  });

  test('has the code SHARED_LAYER', () => {
    const layer = dense(2);
    const init = () => sequential([layer, residual(layer)]).init(key, vectors(2));
    expect(init).toThrow(expect.objectContaining({ code: 'SHARED_LAYER', where: 'residual_1.body' }));
  });

  test('may stand anywhere where it has neither parameters nor state', async () => {
    const activation = relu();
    const pair = sequential([activation, tanh()]);
    const model = sequential({ a: pair, b: residual(pair, { shortcut: activation }), c: activation });
    const { params, state } = model.init(key, vectors(2));
    expect([params, state]).toEqual([{}, {}]);
    expect(treeLeaves((await trained(model, fromNested([[1, -1]]))).output)).toHaveLength(1);
  });
});

describe('residual', () => {
  test('adds the shortcut and the body', async () => {
    const model = residual(dense(2), { shortcut: dense(2, { bias: false }) });
    const params = {
      body: {
        kernel: fromNested([
          [1, 0],
          [0, 1],
        ]),
        bias: fromNested([100, 200]),
      },
      shortcut: {
        kernel: fromNested([
          [10, 0],
          [0, 10],
        ]),
      },
    };
    const { output } = await trained(model, fromNested([[1, 2]]), params);
    expect(toNested(output as NdArray)).toEqual([[111, 222]]);
  });

  test('refuses a body whose output does not fit, before and in a step', async () => {
    const model = residual(dense(3, { kernelInitializer: 'ones' }));
    expect(() => model.init(key, vectors(2), 'block')).toThrow(
      "block: expected an output of the body like the shortcut's, float32 [batch, 2], got float32 [batch, 3]. " +
        'Give it a shortcut that makes its input fit, such as { shortcut: conv2d(filters, 1) }.',
    );
    // One column would broadcast.
    expect(() => residual(dense(1)).init(key, vectors(2))).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH', where: 'residual' }),
    );
    const { params } = model.init(key, vectors(3));
    const call = compile(
      (p: Device<typeof params>, x: Tensor) => {
        const cut = { body: { ...p.body, kernel: p.body.kernel } };
        return residual(conv2d(1, 1, { padding: 'same' })).apply(
          cut as never,
          {},
          x,
          createContext({ training: false }),
        ).output;
      },
      { backend },
    );
    const wide = { body: { kernel: createKey(0).normal([1, 1, 2, 1]), bias: fromNested([0]) } };
    expect(() => call(wide as never, createKey(0).normal([1, 4, 4, 2]))).toThrow(
      "residual: expected an output of the body like the shortcut's, float32 [1, 4, 4, 2], got float32 [1, 4, 4, 1].",
    );
  });
});
