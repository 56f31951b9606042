import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  createContext,
  createKey,
  type Device,
  type DeviceDType,
  fromNested,
  type Leaf,
  type NdArray,
  ndarray,
  type Params,
  read,
  sameBits,
  sizeOf,
  type TensorSpec,
  tfjsBackend,
  toNested,
  treeEntries,
  zeros,
} from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type ChildLayer,
  dense,
  embedding,
  feedForward,
  gelu,
  globalAvgPool2d,
  layerNorm,
  lstm,
  multiHeadAttention,
  positionEmbedding,
  resnetBlock,
  sequential,
  transformerBlock,
} from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

type Shape = readonly (number | null)[];
const key = createKey(0);
const spec = (shape: Shape, dtype: DeviceDType = 'float32'): TensorSpec => ({ shape, dtype });

/** The output of a layer, initialized for inputs like `made`, on `x`. */
async function output(
  layer: ChildLayer,
  x: NdArray,
  made: TensorSpec = spec([null, ...x.shape.slice(1)], x.dtype as DeviceDType),
  training = false,
): Promise<NdArray> {
  const { params, state } = layer.init(key, made);
  const call = compile(
    (p: Device<Params<Leaf>>, s: Device<Params<Leaf>>, input: Tensor, words: Tensor) =>
      layer.apply(p, s, input, createContext({ training, key: words }).child('net')).output,
    { backend },
  );
  return (await read(call(params, state, x, key.toNdArray()))) as NdArray;
}

type Row = readonly [
  name: string,
  layer: ChildLayer,
  made: TensorSpec,
  wrong: TensorSpec,
  code: string,
  message: string,
];
const ids = (...shape: Shape): TensorSpec => spec(shape, 'int32');
const sequence = spec([null, 5, 4]);
const mismatch = 'SHAPE_MISMATCH';

const rows: readonly Row[] = [
  [
    'embedding on floats',
    embedding(10, 4),
    ids(null, 5),
    spec([2, 5]),
    'DTYPE_MISMATCH',
    'expected ids of int32, got float32 [2, 5]. Map tokens to integers from 0 on',
  ],
  ['embedding on a scalar', embedding(10, 4), ids(null), ids(), mismatch, 'expected [batch, …], got []'],
  [
    'positionEmbedding on ids',
    positionEmbedding(5),
    sequence,
    ids(2, 5),
    mismatch,
    'got [2, 5]. Token ids go through embedding(vocabulary, width) first.',
  ],
  [
    'positionEmbedding on longer sequences',
    positionEmbedding(5),
    sequence,
    spec([2, 6, 4]),
    mismatch,
    'expected [batch, time, width] with a time of at most 5, got [2, 6, 4]. Cut the sequences, or make the table longer.',
  ],
  ['layerNorm on numbers', layerNorm(), spec([null, 3]), spec([2]), mismatch, '[batch, …, '],
  [
    'layerNorm on integers',
    layerNorm(),
    spec([null, 3]),
    ids(2, 3),
    'DTYPE_MISMATCH',
    'expected float32, got int32 [2, 3].',
  ],
  [
    'lstm on vectors',
    lstm(3),
    sequence,
    spec([2, 4]),
    mismatch,
    'got [2, 4]. It works along time, which comes second; give each example a time axis.',
  ],
  [
    'lstm on no steps',
    lstm(3),
    sequence,
    spec([2, 0, 4]),
    mismatch,
    'expected [batch, time, features] with a time of at least 1, got [2, 0, 4].',
  ],
  ['lstm on integers', lstm(3), sequence, ids(2, 5, 4), 'DTYPE_MISMATCH', 'expected float32, got int32'],
  [
    'multiHeadAttention on images',
    multiHeadAttention({ heads: 2 }),
    sequence,
    spec([2, 5, 5, 4]),
    mismatch,
    'got [2, 5, 5, 4].',
  ],
  [
    'feedForward on vectors',
    feedForward(),
    sequence,
    spec([2, 4]),
    mismatch,
    'got [2, 4]. It works along time',
  ],
  [
    'transformerBlock on ids',
    transformerBlock({ heads: 2 }),
    sequence,
    ids(2, 5),
    mismatch,
    'embedding(vocabulary',
  ],
  [
    'globalAvgPool2d on vectors',
    globalAvgPool2d(),
    spec([null, 3, 3, 1]),
    spec([2, 4]),
    mismatch,
    'expected [batch, height, width, channels], got [2, 4].',
  ],
  [
    'resnetBlock on grey images',
    resnetBlock(2),
    spec([null, 4, 4, 1]),
    spec([2, 4, 4]),
    mismatch,
    'got [2, 4, 4]. Add the channel axis',
  ],
  [
    'gelu on integers',
    gelu(),
    spec([null, 3]),
    ids(2, 3),
    'DTYPE_MISMATCH',
    'expected float32, got int32 [2, 3].',
  ],
];

describe('inputs that do not fit give the path, what came, and what to do', () => {
  test.each(rows)('%s', async (_, layer, made, wrong, code, message) => {
    const attempt = () => layer.init(key, wrong, 'net');
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ code, where: 'net' }));
    const x = zeros(wrong.shape as number[], wrong.dtype as 'float32');
    const applied = output(layer, x, made);
    await expect(applied).rejects.toThrow(message);
    await expect(applied).rejects.toMatchObject({ code, where: 'net' });
  });

  test.each<[string, ChildLayer, string]>([
    ['positionEmbedding', positionEmbedding(9), 'expected [batch, time, 4], got [2, 5, 3].'],
    [
      'layerNorm',
      layerNorm(),
      'expected [batch, …, 4], got [2, 5, 3]. Its parameters were made for that many features.',
    ],
    [
      'lstm',
      lstm(2),
      'expected [batch, time, 4], got [2, 5, 3]. Its parameters were made for inputs of that size.',
    ],
    ['multiHeadAttention', multiHeadAttention({ heads: 1 }), 'expected [batch, time, 4], got [2, 5, 3].'],
    ['feedForward', feedForward(), 'expected [batch, time, 4], got [2, 5, 3].'],
  ])('%s on inputs of another width than its parameters', async (_, layer, message) => {
    await expect(output(layer, zeros([2, 5, 3]), sequence)).rejects.toThrow(`net: ${message}`);
  });

  test('a width that the heads do not divide', () => {
    expect(() => transformerBlock({ heads: 3 }).init(key, sequence, 'blocks')).toThrow(
      'blocks.attention: expected [batch, time, width] with a width that 3 heads divide, got [batch, 5, 4]. Each head takes',
    );
  });

  test.each<[string, ChildLayer, TensorSpec, string]>([
    ['lstm', lstm(2), spec([null, null, null]), 'a known features'],
    ['layerNorm', layerNorm(), spec([null, null]), 'a known number of features'],
    ['feedForward', feedForward(), spec([null, 3, null]), 'a known width'],
    ['resnetBlock', resnetBlock(2), spec([null, 4, 4, null]), 'a known number of channels'],
  ])('%s where the size of its parameters is free', (_, layer, made, message) => {
    expect(() => layer.init(key, made)).toThrow(message);
  });

  test('parameters of another layer', async () => {
    const call = compile(
      (p: Device<Params<Leaf>>, x: Tensor) =>
        (multiHeadAttention({ heads: 1 }) as ChildLayer).apply(p, {}, x, createContext({ training: false }))
          .output,
      { backend },
    );
    expect(() => call({ scale: zeros([3]) }, zeros([2, 3, 4]))).toThrow(
      'expected parameters qkv { kernel, bias }, got {  }',
    );
  });
});

describe('initial values', () => {
  test("of lstm: the forget gate's bias is 1, the others are 0", () => {
    const { params } = lstm(2).init(key, sequence);
    expect([...params.bias.data]).toEqual([0, 0, 1, 1, 0, 0, 0, 0]);
    expect([...lstm(1, { forgetBias: -2 }).init(key, sequence).params.bias.data]).toEqual([0, -2, 0, 0]);
  });

  test('of a block: kernels that give outputs have an initializer of their own, biases are 0', () => {
    const { params } = transformerBlock({
      heads: 2,
      kernelInitializer: 'ones',
      outputInitializer: 'zeros',
    }).init(key, sequence);
    const sums = treeEntries<NdArray>(params).map(([path, { data, shape }]) => [
      path,
      Array.from(data, Number).reduce((a, b) => a + b, 0) / sizeOf(shape),
    ]);
    expect(Object.fromEntries(sums)).toEqual({
      'norm1.scale': 1,
      'norm1.bias': 0,
      'attention.qkv.kernel': 1,
      'attention.qkv.bias': 0,
      'attention.output.kernel': 0,
      'attention.output.bias': 0,
      'norm2.scale': 1,
      'norm2.bias': 0,
      'mlp.expand.kernel': 1,
      'mlp.expand.bias': 0,
      'mlp.project.kernel': 0,
      'mlp.project.bias': 0,
    });
  });

  test("the output's initializer is the others' where none is given, and in the spec", () => {
    const normal = { initializer: 'normal', standardDeviation: 0.02 } as const;
    expect(multiHeadAttention({ heads: 1, kernelInitializer: normal }).spec).toMatchObject({
      kernelInitializer: normal,
      outputInitializer: normal,
    });
    const { params } = embedding(500, 40, { initializer: normal }).init(key, ids(null, 3));
    const deviation = Math.sqrt(
      Array.from(params.table.data, Number).reduce((sum, x) => sum + x ** 2, 0) / 20_000,
    );
    expect(deviation).toBeGreaterThan(0.0195);
    expect(deviation).toBeLessThan(0.0205);
  });
});

describe('embedding', () => {
  test('gives the row of each id, wherever it stands', async () => {
    const table = { initializer: 'normal' } as const;
    const layer = embedding(6, 3, { initializer: table });
    const { params } = layer.init(key, ids(null));
    const rowsOf = toNested(params.table) as number[][];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 5 })),
        async (shape, stream) => {
          const values = Int32Array.from({ length: sizeOf(shape) }, () => stream.next().value as number);
          const y = await output(layer, ndarray('int32', shape, values));
          expect(y.shape).toEqual([...shape, 3]);
          expect([...y.data]).toEqual([...values].flatMap((id) => rowsOf[id]));
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('time', () => {
  const x = key.foldIn('x').normal([2, 5, 4]);
  /** x with other values from a time on. */
  const changedFrom = (time: number): NdArray => {
    const data = Float32Array.from(x.data, (value, i) =>
      Math.floor(i / 4) % 5 >= time ? -3 * value + 1 : value,
    );
    return ndarray('float32', x.shape, data);
  };
  const before = (y: NdArray, time: number): number[] =>
    (toNested(y) as number[][][]).flatMap((example) => example.slice(0, time).flat());
  const after = (y: NdArray, time: number): number[] =>
    (toNested(y) as number[][][]).flatMap((example) => example.slice(time).flat());

  test.each<[string, ChildLayer]>([
    ['multiHeadAttention, causal', multiHeadAttention({ heads: 2, causal: true })],
    ['transformerBlock, causal', transformerBlock({ heads: 2, causal: true })],
    ['lstm', lstm(3, { returnSequences: true })],
  ])('%s sees nothing that comes later', async (_, layer) => {
    for (const time of [1, 3, 4]) {
      const [first, second] = [await output(layer, x), await output(layer, changedFrom(time))];
      expect(before(second, time)).toEqual(before(first, time));
      expect(after(second, time)).not.toEqual(after(first, time));
    }
  });

  test.each<[string, ChildLayer]>([
    ['multiHeadAttention', multiHeadAttention({ heads: 2 })],
    ['transformerBlock', transformerBlock({ heads: 4 })],
  ])('%s sees all of it', async (_, layer) => {
    const [first, second] = [await output(layer, x), await output(layer, changedFrom(4))];
    for (const [i, value] of before(second, 1).entries()) expect(value).not.toBe(before(first, 1)[i]);
  });

  test("lstm's output is the last of its sequence", async () => {
    const all = toNested(await output(lstm(3, { returnSequences: true }), x)) as number[][][];
    expect(toNested(await output(lstm(3), x))).toEqual(all.map((steps) => steps[4]));
  });

  test('sequences shorter than they were made for use the first positions', async () => {
    const layer = positionEmbedding(5, { initializer: 'normal' });
    const { params } = layer.init(key, sequence);
    const y = await output(layer, zeros([2, 3, 4]), sequence);
    const first = (toNested(params.table) as number[][]).slice(0, 3);
    expect(toNested(y)).toEqual([first, first]);
  });
});

describe('transformerBlock', () => {
  test('is the identity where its branches give nothing', async () => {
    const x = key.normal([2, 3, 4]);
    const layer = transformerBlock({ heads: 2, outputInitializer: 'zeros' });
    expect(sameBits(await output(layer, x), x)).toBe(true);
  });

  test('drops from both branches in training, by two masks, and from none outside', async () => {
    const x = zeros([1, 50, 4]);
    // Biases are 0 and x is 0, so that each branch gives 0: what is dropped shows in a network whose branches don't.
    const layer = transformerBlock({ heads: 1, dropout: 0.5, kernelInitializer: 'lecunNormal' });
    const noise = key.normal([1, 50, 4]);
    const made = spec([null, 50, 4]);
    const still = await output(layer, noise, made);
    const trained = await output(layer, noise, made, true);
    const unchanged = [...trained.data].filter((value, i) => value === noise.data[i]).length;
    // Both branches are dropped at a quarter of the places: 50 ± 3·6.1.
    expect(unchanged).toBeGreaterThan(31);
    expect(unchanged).toBeLessThan(69);
    expect([...still.data].filter((value, i) => value === noise.data[i])).toHaveLength(0);
    expect(sameBits(await output(layer, x, made, true), x)).toBe(true);
    expect(sameBits(await output(layer, noise, made, true), trained)).toBe(true);
  });
});

describe('resnetBlock', () => {
  const made = spec([null, 6, 5, 2]);

  test('has a shortcut only where it changes the shape', () => {
    const names = (layer: ChildLayer): string[] => Object.keys(layer.init(key, made).params);
    const body = ['conv1', 'norm1', 'conv2', 'norm2'];
    expect(names(resnetBlock(2))).toEqual(body);
    expect(names(resnetBlock(3))).toEqual([...body, 'shortcutConv', 'shortcutNorm']);
    expect(names(resnetBlock(2, { strides: [1, 2] }))).toEqual([...body, 'shortcutConv', 'shortcutNorm']);
  });

  test('gives ⌈size / strides⌉', () => {
    expect(resnetBlock(4, { strides: 2 }).init(key, made).output.shape).toEqual([null, 3, 3, 4]);
    expect(resnetBlock(4).init(key, spec([null, null, null, 2])).output.shape).toEqual([null, null, null, 4]);
  });
});

test('gelu is x · Φ(x), and its approximation close to it', async () => {
  const x = fromNested([[-3, -1, 0, 1, 3]]);
  const exact = [-0.00404969409489031, -0.15865525393145707, 0, 0.8413447460685429, 2.99595030590511];
  expectClose((await output(gelu(), x)).data as Float32Array, exact, {
    op: 'transcendental',
    dtype: 'float32',
  });
  const near = await output(gelu({ approximate: true }), x);
  for (const [i, value] of exact.entries()) {
    const distance = Math.abs(Number(near.data[i]) - value);
    expect(distance).toBeLessThan(5e-4);
    if (value !== 0) expect(distance).toBeGreaterThan(1e-5);
  }
});

test('a list of layers names them by kind and count', () => {
  const model = sequential([
    embedding(7, 4),
    transformerBlock({ heads: 2 }),
    transformerBlock({ heads: 2 }),
    layerNorm(),
    dense(7),
  ]);
  const { params } = model.init(key, ids(null, 3));
  expect(Object.keys(params)).toEqual([
    'embedding_1',
    'transformerBlock_1',
    'transformerBlock_2',
    'layerNorm_1',
    'dense_1',
  ]);
});
