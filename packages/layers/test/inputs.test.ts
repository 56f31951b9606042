import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  createContext,
  createKey,
  type Device,
  type DeviceDType,
  type Host,
  type Layer,
  type Leaf,
  type Params,
  type TensorSpec,
  tensorCount,
  tfjsBackend,
  zeros,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  avgPool2d,
  batchNorm,
  type ChildLayer,
  conv2d,
  dense,
  dropout,
  flatten,
  maxPool2d,
  relu,
  sequential,
  sigmoid,
  softmax,
  tanh,
} from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

type Shape = readonly (number | null)[];
const key = createKey(0);
const spec = (shape: Shape, dtype: DeviceDType = 'float32'): TensorSpec => ({ shape, dtype });

/** Applies `layer`, with what it has for `made`, at the path `net.here`, to zeros of `shape`. */
function apply(
  layer: ChildLayer,
  made: Shape,
  shape: readonly number[],
  dtype: DeviceDType,
  training = false,
): unknown {
  const { params, state } = layer.init(key, spec(made));
  const call = compile(
    (p: Device<Params<Leaf>>, s: Device<Params<Leaf>>, x: Tensor) =>
      layer.apply(p, s, x, createContext({ training }).child('net').child('here')).output,
    { backend },
  );
  return call(params, state, zeros(shape, dtype));
}

/** The input it was made for; one that it can't take, as a spec and as a batch; the message. */
type Row = readonly [name: string, layer: ChildLayer, made: Shape, wrong: Shape, message: string];

const unmade: readonly Row[] = [
  [
    'dense on images',
    dense(3),
    [null, 64],
    [null, 4, 4, 64],
    'net.here: expected [batch, IN], got [BATCH, 4, 4, 64]. Add flatten() before it.',
  ],
  [
    'dense on numbers',
    dense(3),
    [null, 4],
    [null],
    'net.here: expected [batch, IN], got [BATCH]. Add a features axis',
  ],
  [
    'conv2d on grey images',
    conv2d(2, 3),
    [null, 8, 8, 1],
    [null, 8, 8],
    'net.here: expected [batch, height, width, channels], got [BATCH, 8, 8]. Add the channel axis: grey images are',
  ],
  [
    'conv2d on vectors',
    conv2d(2, 3),
    [null, 8, 8, 1],
    [null, 64],
    'net.here: expected [batch, height, width, channels], got [BATCH, 64]. It works on images; after flatten()',
  ],
  [
    'conv2d on images that are too small',
    conv2d(2, [3, 5]),
    [null, 8, 8, 1],
    [null, 9, 4, 1],
    "net.here: expected height and width of at least 3 and 5, got [BATCH, 9, 4, 1]. Use padding: 'same', a smaller kernelSize",
  ],
  [
    'conv2d, dilated, on images that are too small',
    conv2d(2, 3, { dilation: [3, 1] }),
    [null, 8, 8, 1],
    [null, 6, 3, 1],
    'net.here: expected height and width of at least 7 and 3, got [BATCH, 6, 3, 1].',
  ],
  [
    'maxPool2d on images that are too small',
    maxPool2d(3),
    [null, 8, 8, 1],
    [null, 2, 8, 1],
    "net.here: expected height and width of at least 3 and 3, got [BATCH, 2, 8, 1]. Use padding: 'same', a smaller poolSize",
  ],
  [
    'avgPool2d on vectors',
    avgPool2d(2),
    [null, 8, 8, 1],
    [null, 64],
    'net.here: expected [batch, height, width, channels], got [BATCH, 64].',
  ],
  ['batchNorm on numbers', batchNorm(), [null, 3], [null], 'net.here: expected [batch, …, IN], got [BATCH].'],
  [
    'softmax on numbers',
    softmax(),
    [null, 3],
    [null],
    'net.here: expected [batch, …, classes], got [BATCH].',
  ],
];

describe('shapes that do not fit give the path, what came, and what to do', () => {
  test.each(unmade)('%s', (_name, layer, made, wrong, message) => {
    const kind = layer.spec.layer === 'dense' ? 'features' : 'channels';
    const atInit = message.replace('IN', kind).replace('BATCH', 'batch');
    expect(() => layer.init(key, spec(wrong), 'net.here')).toThrow(atInit);
    expect(() => layer.init(key, spec(wrong), 'net.here')).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
    const before = tensorCount();
    const shape = wrong.map((size) => size ?? 2);
    const atApply = message.replace('IN', String(made[made.length - 1])).replace('BATCH', '2');
    expect(() => apply(layer, made, shape, 'float32')).toThrow(atApply);
    expect(tensorCount()).toBe(before);
  });

  const otherSizes: readonly Row[] = [
    [
      'dense',
      dense(3),
      [null, 64],
      [2, 32],
      'expected [batch, 64], got [2, 32]. Its kernel was made for inputs of that',
    ],
    ['dense on sequences', dense(3), [null, 5, 8], [2, 5, 9], 'expected [batch, time, 8], got [2, 5, 9].'],
    [
      'conv2d',
      conv2d(2, 3),
      [null, 8, 8, 3],
      [2, 8, 8, 1],
      'expected [batch, height, width, 3], got [2, 8, 8, 1].',
    ],
    ['batchNorm', batchNorm(), [null, 3], [2, 4], 'expected [batch, …, 3], got [2, 4]. Its state was made'],
  ];
  test.each(otherSizes)(
    '%s on inputs of another size than its parameters',
    (_name, layer, made, wrong, message) => {
      expect(() => apply(layer, made, wrong as number[], 'float32')).toThrow(`net.here: ${message}`);
    },
  );

  test('where layers follow each other', () => {
    const model = sequential({ stem: conv2d(64, 3), head: sequential([relu(), dense(10)]) });
    expect(() => model.init(key, spec([null, 6, 6, 1]))).toThrow(
      'head.dense_1: expected [batch, features], got [batch, 4, 4, 64]. Add flatten() before it.',
    );
    const shrinking = sequential([conv2d(4, 3), maxPool2d(2), conv2d(4, 3)]);
    expect(() => shrinking.init(key, spec([null, 5, 5, 1]))).toThrow(
      'conv2d_2: expected height and width of at least 3 and 3, got [batch, 1, 1, 4].',
    );
  });

  test('where a size must be known and is free', () => {
    expect(() => sequential([conv2d(2, 3), flatten(), dense(3)]).init(key, spec([null, null, 8, 1]))).toThrow(
      'dense_1: expected [batch, features] with a known number of features, got [batch, any]. Give the input fixed sizes',
    );
    expect(() => conv2d(2, 3).init(key, spec([null, 8, 8, null]))).toThrow(
      'conv2d: expected [batch, height, width, channels] with a known number of channels, got [batch, 8, 8, any].',
    );
    expect(() => batchNorm().init(key, spec([null, null]))).toThrow('with a known number of channels');
  });

  test('at the root the kind of the layer stands for the path', () => {
    expect(() => dense(2).init(key, spec([null, 2, 2, 2]))).toThrow('dense: expected [batch, features]');
  });
});

describe('dtypes other than float32', () => {
  const rows: readonly [ChildLayer, Shape][] = [
    [dense(2), [null, 3]],
    [conv2d(2, 1), [null, 3, 3, 1]],
    [maxPool2d(2), [null, 4, 4, 1]],
    [avgPool2d(2), [null, 4, 4, 1]],
    [batchNorm(), [null, 3]],
    [dropout(0.5), [null, 3]],
    [relu(), [null, 3]],
    [sigmoid(), [null, 3]],
    [tanh(), [null, 3]],
    [softmax(), [null, 3]],
  ];
  test.each(rows.map(([layer, made]) => [layer.spec.layer, layer, made] as const))(
    '%s',
    (_name, layer, made) => {
      const shown = made.map((size) => size ?? 'batch').join(', ');
      expect(() => layer.init(key, spec(made, 'int32'), 'net.here')).toThrow(
        `net.here: expected float32, got int32 [${shown}]. Normalize the data, or cast it to float32`,
      );
      const shape = made.map((size) => size ?? 2);
      const call = () => apply(layer, made, shape, 'int32');
      expect(call).toThrow(`net.here: expected float32, got int32 [${shape.join(', ')}].`);
      expect(call).toThrow(expect.objectContaining({ code: 'DTYPE_MISMATCH' }));
    },
  );
});

describe("another layer's parameters", () => {
  test.each([
    ['dense', dense(2), [null, 3], 'parameters { kernel, bias }, got { scale }'],
    ['conv2d', conv2d(2, 1), [null, 3, 3, 1], 'parameters { kernel, bias }, got { scale }'],
    ['batchNorm', batchNorm(), [null, 3], 'state { mean, variance }, got {  }'],
  ] as const)('%s', (_name, layer, made, message) => {
    const call = compile(
      (p: Device<Params<Leaf>>, x: Tensor) =>
        (layer as unknown as Layer).apply(p, {}, x, createContext({ training: false }).child('net')).output,
      { backend },
    );
    const given = { scale: zeros([3]) } as Host<Params<Leaf>>;
    const attempt = () => call(given, zeros(made.map((size) => size ?? 2)));
    expect(attempt).toThrow(`net: expected ${message}`);
    expect(attempt).toThrow(expect.objectContaining({ code: 'STRUCTURE_MISMATCH' }));
  });
});

test('batchNorm refuses to train on one value a channel, and evaluates it', async () => {
  expect(() => apply(batchNorm(), [null, 3], [1, 3], 'float32', true)).toThrow(
    'net.here: expected more than one value a channel in training, got [1, 3]. Drop the last batch where it is a single',
  );
  expect(() => apply(batchNorm(), [null, 3], [1, 3], 'float32', false)).not.toThrow();
  expect(() => apply(batchNorm(), [null, 2, 3], [1, 2, 3], 'float32', true)).not.toThrow();
});
