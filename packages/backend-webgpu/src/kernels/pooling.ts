import {
  AvgPool,
  type AvgPoolAttrs,
  AvgPoolGrad,
  type AvgPoolGradAttrs,
  backend_util,
  MaxPool,
  type MaxPoolAttrs,
  MaxPoolGrad,
  type MaxPoolGradAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../gpu_backend.js';
import { linearGroups } from '../graph.js';
import type { Program } from '../program.js';
import { defineKernel, type Kernel } from './kernel.js';

type Pool2DInfo = ReturnType<typeof backend_util.computePool2DInfo>;
type Shape = [number, number, number, number];

/**
 * The largest element under each window, NHWC; padding doesn't take part, and NaN is passed over (tfjs's own suite
 * asks for that; PyTorch hands NaN on). float32; other dtypes go to tfjs's kernel.
 */
const maxPool = defineKernel<MaxPoolAttrs>(MaxPool, ({ inputs: { x }, attrs, gpu }) =>
  pool(gpu, 'maxPool', x, attrs),
);

/** The mean of the elements under each window, NHWC; padding is not counted. float32. */
const averagePool = defineKernel<AvgPoolAttrs>(AvgPool, ({ inputs: { x }, attrs, gpu }) =>
  pool(gpu, 'averagePool', x, attrs),
);

function pool(
  gpu: GpuBackend,
  kind: 'maxPool' | 'averagePool',
  x: TensorInfo,
  { filterSize, strides, pad, dimRoundingMode }: MaxPoolAttrs | AvgPoolAttrs,
): TensorInfo | undefined {
  if (x.dtype !== 'float32') return undefined;
  const info = backend_util.computePool2DInfo(x.shape as Shape, filterSize, strides, 1, pad, dimRoundingMode);
  const { filterHeight, filterWidth, inShape, outShape } = info;
  // A window of one element is the tensor itself, NaN included.
  if (filterHeight === 1 && filterWidth === 1 && util.arraysEqual(inShape, outShape)) {
    return gpu.alias(x, x.shape);
  }
  return run(gpu, forward[kind][overlaps(info) ? 1 : 0], [x], outShape, info);
}

/**
 * The gradient of max pooling: each ∂y goes to the largest element of its window, the first of them in row-major order
 * where several are equal, and nowhere where none is larger than −Inf.
 */
const maxPoolGrad = defineKernel<MaxPoolGradAttrs>(MaxPoolGrad, ({ inputs: { dy, input }, attrs, gpu }) => {
  if (input.dtype !== 'float32' || dy.dtype !== 'float32') return undefined;
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const shape = input.shape as Shape;
  const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  // Where windows overlap, each is looked through once, not once for each element under it.
  if (!overlaps(info)) return run(gpu, MAX_GRAD, [dy, input], shape, info);
  const places = run(gpu, MAX_PLACES, [input], info.outShape, info, 'int32');
  const dx = run(gpu, MAX_GRAD_OF_PLACES, [dy, places], shape, info);
  gpu.disposeData(places.dataId);
  return dx;
});

/**
 * The gradient of average pooling as tfjs has it: each ∂y is divided by the size of the whole window, also where the
 * forward pass has counted fewer elements, at the padding. (PyTorch divides by what it has counted.)
 */
const averagePoolGrad = defineKernel<AvgPoolGradAttrs>(
  AvgPoolGrad,
  ({ inputs: { dy, input }, attrs, gpu }) => {
    if (dy.dtype !== 'float32') return undefined;
    const { filterSize, strides, pad } = attrs;
    const shape = input.shape as Shape;
    const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad);
    return run(gpu, AVERAGE_GRAD, [dy], shape, info);
  },
);

export const poolingKernels: readonly Kernel[] = [maxPool, averagePool, maxPoolGrad, averagePoolGrad];

/** Whether an element may lie under several windows. */
function overlaps({ filterHeight, filterWidth, strideHeight, strideWidth }: Pool2DInfo): boolean {
  return filterHeight > strideHeight || filterWidth > strideWidth;
}

/** Runs a program of pooling, one invocation for each element of its output. */
function run(
  gpu: GpuBackend,
  program: Program,
  inputs: readonly TensorInfo[],
  shape: readonly number[],
  info: Pool2DInfo,
  dtype: 'float32' | 'int32' = 'float32',
): TensorInfo {
  const out = gpu.allocate(shape, dtype);
  const size = util.sizeFromShape([...shape]);
  if (size === 0) return out;
  const words = [
    size,
    info.inHeight,
    info.inWidth,
    info.inChannels,
    info.outHeight,
    info.outWidth,
    info.filterHeight,
    info.filterWidth,
    info.strideHeight,
    info.strideWidth,
    info.padInfo.top,
    info.padInfo.left,
  ];
  gpu.launch(program, inputs, [out], words, linearGroups(size));
  return out;
}

/** Neighbouring invocations have neighbouring channels: what they read and write lies side by side. */
const common = {
  outputs: ['f32'],
  uniforms: [
    'count: u32',
    'height: i32',
    'width: i32',
    'channels: i32',
    'outHeight: i32',
    'outWidth: i32',
    'filterHeight: i32',
    'filterWidth: i32',
    'strideHeight: i32',
    'strideWidth: i32',
    'padTop: i32',
    'padLeft: i32',
  ],
  workgroup: [256, 1, 1],
  stores: true,
  float16: 'passes',
} as const;

const INVOCATION = `
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= u.count) { return; }`;

/** What a window covers of its image: rows x to y − 1, columns z to w − 1. */
const COVER = `
fn cover(row: i32, column: i32) -> vec4i {
  let top = row * u.strideHeight - u.padTop;
  let left = column * u.strideWidth - u.padLeft;
  return vec4i(max(top, 0), min(top + u.filterHeight, u.height), max(left, 0), min(left + u.filterWidth, u.width));
}`;

/** The loop over what window (row, column) of an image covers, in row-major order; \`at\` is an element's place. */
function overWindow(body: string): string {
  return `
    let covered = cover(row, column);
    for (var h = covered.x; h < covered.y; h++) {
      for (var w = covered.z; w < covered.w; w++) {
        let at = ((image * u.height + h) * u.width + w) * u.channels + channel;
        ${body}
      }
    }`;
}

/** Image, row, column and channel of element i of a tensor so high and wide. */
function decode(height: string, width: string): string {
  return `
    let channel = i32(i) % u.channels;
    let position = i32(i) / u.channels;
    let column = position % ${width};
    let row = position / ${width} % ${height};
    let image = position / ${width} / ${height};`;
}

/** The program, and the one for windows that overlap: only where they don't, elements are read about once. */
function forwardPrograms(key: string, start: string, each: string, result: string): [Program, Program] {
  const program = (key: string, read: string): Program => ({
    ...common,
    key,
    inputs: ['f32'],
    declarations: COVER,
    body: `
      ${INVOCATION}
      ${decode('u.outHeight', 'u.outWidth')}
      ${start}
      ${overWindow(`let x = ${read}; ${each}`)}
      store(i, ${result});`,
  });
  return [{ ...program(key, 'load0(u32(at))'), loads: [0] }, program(`${key} overlapping`, 'x0[at]')];
}

const forward = {
  maxPool: forwardPrograms(
    'maxPool',
    'var largest = -infinity();',
    'if (x > largest && !isNan(x)) { largest = x; }',
    'largest',
  ),
  averagePool: forwardPrograms(
    'averagePool',
    'var sum = 0f; var count = 0f;',
    'sum += x; count += 1f;',
    // A window that covers nothing has no mean.
    'select(sum / count, nan(), count == 0f)',
  ),
};

/** The place of a window's largest element, −1 if there is none. */
function largestOf(array: string): string {
  return `
fn largestOf(image: i32, row: i32, column: i32, channel: i32) -> i32 {
  var largest = -infinity();
  var place = -1;
  ${overWindow(`let x = ${array}[at]; if (x > largest && !isNan(x)) { largest = x; place = at; }`)}
  return place;
}`;
}

const MAX_PLACES: Program = {
  ...common,
  key: 'maxPoolPlaces',
  outputs: ['i32'],
  inputs: ['f32'],
  declarations: `${COVER}\n${largestOf('x0')}`,
  body: `
    ${INVOCATION}
    ${decode('u.outHeight', 'u.outWidth')}
    store(i, largestOf(image, row, column, channel));`,
};

/** A gradient: each element of x sums, in row-major order, what comes from the windows that it lies under. */
function gradient(key: string, inputs: Program['inputs'], declarations: string, term: string): Program {
  return {
    ...common,
    key,
    inputs,
    declarations: `
      // The first window that reaches as far as this.
      fn first(at: i32, size: i32, stride: i32) -> i32 { return max(at - size + stride, 0) / stride; }
      ${declarations}`,
    body: `
      ${INVOCATION}
      ${decode('u.height', 'u.width')}
      let lastRow = min((row + u.padTop) / u.strideHeight, u.outHeight - 1);
      let lastColumn = min((column + u.padLeft) / u.strideWidth, u.outWidth - 1);
      var sum = 0f;
      for (var r = first(row + u.padTop, u.filterHeight, u.strideHeight); r <= lastRow; r++) {
        for (var c = first(column + u.padLeft, u.filterWidth, u.strideWidth); c <= lastColumn; c++) {
          let source = ((image * u.outHeight + r) * u.outWidth + c) * u.channels + channel;
          ${term}
        }
      }
      store(i, sum);`,
  };
}

const MAX_GRAD = gradient(
  'maxPoolGrad',
  ['f32', 'f32'],
  `${COVER}\n${largestOf('x1')}`,
  'if (largestOf(image, r, c, channel) == i32(i)) { sum += x0[source]; }',
);

const MAX_GRAD_OF_PLACES = gradient(
  'maxPoolGrad places',
  ['f32', 'i32'],
  '',
  'if (x1[source] == i32(i)) { sum += x0[source]; }',
);

const AVERAGE_GRAD = gradient(
  'averagePoolGrad',
  ['f32'],
  '',
  'sum += x0[source] / f32(u.filterHeight * u.filterWidth);',
);
