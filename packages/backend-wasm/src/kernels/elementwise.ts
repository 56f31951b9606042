import {
  Abs,
  Cast,
  type CastAttrs,
  ClipByValue,
  type ClipByValueAttrs,
  type DataType,
  Elu,
  Erf,
  Exp,
  Fill,
  type FillAttrs,
  Identity,
  IsFinite,
  IsInf,
  IsNan,
  LeakyRelu,
  type LeakyReluAttrs,
  Log,
  Log1p,
  Neg,
  OnesLike,
  Reciprocal,
  Relu,
  Relu6,
  Reshape,
  type ReshapeAttrs,
  Rsqrt,
  Selu,
  Sigmoid,
  Sign,
  Sqrt,
  Square,
  Step,
  type StepAttrs,
  Tanh,
  type TensorInfo,
  util,
  ZerosLike,
} from '@tensorflow/tfjs-core';
import type { KernelName } from '../module/kernels.js';
import { defineKernel, type Engine, floatBits, type Kernel } from './kernel.js';

/** Elements of a part, of functions that memory is slower than, and of exp and its like: 20 to 50 µs. */
export const LIGHT = 2 ** 15;
export const HEAVY = 2 ** 13;

/** Runs a kernel of one input: its words are [x, out, elements, chunk, …]. */
function map(
  engine: Engine,
  kernel: KernelName,
  x: TensorInfo,
  chunk: number,
  dtype: DataType = 'float32',
  ...words: number[]
): TensorInfo {
  const out = engine.allocate(x.shape, dtype);
  const size = util.sizeFromShape(x.shape);
  engine.launch(
    kernel,
    Math.ceil(size / chunk),
    [engine.block(x)],
    [engine.block(out)],
    [size, chunk, ...words],
  );
  return out;
}

/** A function of float32; other dtypes go to tfjs-backend-cpu. */
function elementwise(kernelName: string, kernel: KernelName, chunk: number, dtype?: DataType): Kernel {
  return defineKernel(kernelName, ({ inputs: { x }, engine }) =>
    x.dtype === 'float32' ? map(engine, kernel, x, chunk, dtype) : undefined,
  );
}

/** 1 where x > 0, `alpha` where it isn't, NaN where x is NaN: relu's derivative for alpha = 0. */
const step = defineKernel<StepAttrs>(Step, ({ inputs: { x }, attrs, engine }) =>
  x.dtype === 'float32'
    ? map(engine, 'step', x, LIGHT, 'float32', floatBits((attrs.alpha as number | undefined) ?? 0))
    : undefined,
);

const leakyRelu = defineKernel<LeakyReluAttrs>(LeakyRelu, ({ inputs: { x }, attrs, engine }) =>
  x.dtype === 'float32'
    ? map(engine, 'leakyRelu', x, LIGHT, 'float32', floatBits(attrs.alpha as number))
    : undefined,
);

/** As tfjs's constants: λ and λ·α of Klambauer et al. (2017). */
const SELU_SCALE = 1.0507009873554805;
const SELU_SCALE_ALPHA = 1.7580993408473768;

const selu = defineKernel(Selu, ({ inputs: { x }, engine }) =>
  x.dtype === 'float32'
    ? map(engine, 'selu', x, HEAVY, 'float32', floatBits(SELU_SCALE), floatBits(SELU_SCALE_ALPHA))
    : undefined,
);

const clipByValue = defineKernel<ClipByValueAttrs>(ClipByValue, ({ inputs: { x }, attrs, engine }) => {
  const { clipValueMin, clipValueMax } = attrs;
  // A bound of NaN holds nothing back.
  if (x.dtype !== 'float32' || !(clipValueMin <= clipValueMax)) return undefined;
  return map(engine, 'clip', x, LIGHT, 'float32', floatBits(clipValueMin), floatBits(clipValueMax));
});

const conversions: { readonly [from: string]: { readonly [to: string]: KernelName } } = {
  float32: { int32: 'floatToInteger', bool: 'floatToBool' },
  int32: { float32: 'integerToFloat', bool: 'integerToBool' },
  bool: { float32: 'boolToFloat', int32: 'boolToInteger' },
};

/**
 * x as another dtype. int32 becomes the nearest float32, float32 loses its fraction (and is taken modulo 2³², as in
 * JavaScript; what is not finite becomes 0), bool is x ≠ 0. Where tfjs-backend-cpu hands on x's own array (bool to int32,
 * either to float32), values are converted here.
 */
const cast = defineKernel<CastAttrs>(Cast, ({ inputs: { x }, attrs: { dtype }, engine }) => {
  if (x.dtype === dtype && dtype in conversions) return engine.alias(x, x.shape);
  const kernel = conversions[x.dtype]?.[dtype];
  return kernel ? map(engine, kernel, x, LIGHT, dtype) : undefined;
});

const identity = defineKernel(Identity, ({ inputs: { x }, engine }) =>
  x.dtype === 'complex64' ? undefined : engine.alias(x, x.shape),
);

const reshape = defineKernel<ReshapeAttrs>(Reshape, ({ inputs: { x }, attrs, engine }) => {
  if (x.dtype === 'complex64') return undefined;
  const size = util.sizeFromShape(x.shape);
  const shape = util.inferFromImplicitShape(attrs.shape, size);
  // A shape of another size: the original says so.
  return util.sizeFromShape(shape) === size ? engine.alias(x, shape) : undefined;
});

/** A new tensor of one value, or undefined for a dtype that has no fixed width here. */
export function filled(
  engine: Engine,
  shape: readonly number[],
  value: number,
  dtype: DataType,
): TensorInfo | undefined {
  const size = util.sizeFromShape(shape as number[]);
  let words = size;
  let bits = value | 0;
  if (dtype === 'float32') bits = floatBits(value);
  else if (dtype === 'bool') {
    words = Math.ceil(size / 4);
    bits = Math.imul(value & 255, 0x01010101);
  } else if (dtype !== 'int32') return undefined;
  const out = engine.allocate(shape, dtype);
  engine.launch('fill', Math.ceil(words / LIGHT), [], [engine.block(out)], [words, LIGHT, bits]);
  return out;
}

const fill = defineKernel<FillAttrs>(Fill, ({ attrs: { shape, value, dtype }, engine }) =>
  typeof value === 'string'
    ? undefined
    : filled(engine, shape, Number(value), dtype ?? util.inferDtype(value)),
);

const zerosLike = defineKernel(ZerosLike, ({ inputs: { x }, engine }) => filled(engine, x.shape, 0, x.dtype));

const onesLike = defineKernel(OnesLike, ({ inputs: { x }, engine }) => filled(engine, x.shape, 1, x.dtype));

export const elementwiseKernels: readonly Kernel[] = [
  elementwise(Relu, 'relu', LIGHT),
  elementwise(Relu6, 'relu6', LIGHT),
  step,
  leakyRelu,
  elementwise(Sqrt, 'squareRoot', LIGHT),
  elementwise(Rsqrt, 'reciprocalSquareRoot', LIGHT),
  elementwise(Square, 'square', LIGHT),
  elementwise(Neg, 'negate', LIGHT),
  elementwise(Abs, 'absolute', LIGHT),
  elementwise(Sign, 'sign', LIGHT),
  elementwise(Reciprocal, 'reciprocal', LIGHT),
  elementwise(Exp, 'exp', HEAVY),
  elementwise(Log, 'log', HEAVY),
  elementwise(Log1p, 'log1p', HEAVY),
  elementwise(Sigmoid, 'sigmoid', HEAVY),
  elementwise(Tanh, 'tanh', HEAVY),
  elementwise(Erf, 'erf', HEAVY),
  elementwise(Elu, 'elu', HEAVY),
  selu,
  clipByValue,
  elementwise(IsFinite, 'isFinite', LIGHT, 'bool'),
  elementwise(IsNan, 'isNaN', LIGHT, 'bool'),
  elementwise(IsInf, 'isInfinite', LIGHT, 'bool'),
  cast,
  identity,
  reshape,
  fill,
  zerosLike,
  onesLike,
];
