import * as tf from '@tensorflow/tfjs-core';
import { broadcast_util, type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { broadcastAccess } from '../graph.js';
import { f32Literal } from '../prelude.js';
import { defineKernel, type Kernel } from './kernel.js';

/** WGSL of functions of one float32, `$0`. NaN stays NaN: where a compiler might lose it, it is asked for. */
export const unary: { readonly [kernel: string]: string } = {
  [tf.Relu]: 'select(maximum($0, 0f), nan(), isNan($0))',
  [tf.Relu6]: 'select(minimum(maximum($0, 0f), 6f), nan(), isNan($0))',
  [tf.Sqrt]: 'squareRoot($0)',
  [tf.Rsqrt]: 'reciprocalSquareRoot($0)',
  [tf.Square]: '$0 * $0',
  [tf.Neg]: '-$0',
  [tf.Abs]: 'abs($0)',
  // Of NaN it is 0.
  [tf.Sign]: 'select(select(select(0f, 1f, $0 > 0f), -1f, $0 < 0f), 0f, isNan($0))',
  [tf.Reciprocal]: '1f / $0',
  [tf.Exp]: 'exponential($0)',
  [tf.Expm1]: 'exponentialMinusOne($0)',
  [tf.Log]: 'logarithm($0)',
  [tf.Log1p]: 'logarithmOfOnePlus($0)',
  [tf.Sigmoid]: 'sigmoid($0)',
  [tf.Tanh]: 'hyperbolicTangent($0)',
  [tf.Erf]: 'errorFunction($0)',
  [tf.Elu]: 'select(exponentialMinusOne($0), $0, $0 >= 0f || isNan($0))',
  [tf.Selu]: `select(${f32Literal(1.7580993408473768)} * exponentialMinusOne($0), ${f32Literal(1.0507009873554805)} * $0, $0 >= 0f || isNan($0))`,
  [tf.Softplus]: 'softplus($0)',
  [tf.Floor]: 'floor($0)',
  [tf.Ceil]: 'ceil($0)',
  [tf.Round]: 'round($0)',
  [tf.Sin]: 'sineAndCosine($0).x',
  [tf.Cos]: 'sineAndCosine($0).y',
  [tf.Tan]: 'tangent($0)',
  [tf.Asinh]: 'inverseHyperbolicSine($0)',
  [tf.Acosh]: 'inverseHyperbolicCosine($0)',
  [tf.Atanh]: 'inverseHyperbolicTangent($0)',
};

/** Functions of one number that give a bool. */
const questions: { readonly [kernel: string]: string } = {
  [tf.IsFinite]: 'select(0i, 1i, isFinite($0))',
  [tf.IsNan]: 'select(0i, 1i, isNan($0))',
  [tf.IsInf]: 'select(0i, 1i, isInfinite($0))',
};

/** Of two float32 or two int32, `$0` and `$1`; where they differ, the second text is for int32. */
const binary: { readonly [kernel: string]: string | readonly [float: string, integer: string] } = {
  [tf.Add]: '$0 + $1',
  [tf.Sub]: '$0 - $1',
  [tf.Multiply]: '$0 * $1',
  [tf.Maximum]: ['maximum($0, $1)', 'max($0, $1)'],
  [tf.Minimum]: ['minimum($0, $1)', 'min($0, $1)'],
  [tf.SquaredDifference]: '($0 - $1) * ($0 - $1)',
};

const comparisons: { readonly [kernel: string]: string } = {
  [tf.Equal]: '$0 == $1',
  [tf.NotEqual]: '$0 != $1',
  [tf.Greater]: '$0 > $1',
  [tf.GreaterEqual]: '$0 >= $1',
  [tf.Less]: '$0 < $1',
  [tf.LessEqual]: '$0 <= $1',
};

/** Of an int32, where that is one too. tfjs's kernels compute in float32, which is exact to 2²⁴. */
const integral: { readonly [kernel: string]: string } = {
  [tf.Relu]: 'max($0, 0i)',
  [tf.Square]: '$0 * $0',
  [tf.Neg]: '-$0',
  [tf.Abs]: 'abs($0)',
  [tf.Sign]: 'sign($0)',
};

/** Those that tfjs calls with int32 too, for a float32. */
const OF_INTEGERS: readonly string[] = [tf.Exp, tf.Expm1];

/** Whose results float16 may not hold though it holds what they are of. As in PyTorch's autocast, they stay float32. */
const WIDE: ReadonlySet<string> = new Set([
  tf.Exp,
  tf.Expm1,
  tf.Log,
  tf.Log1p,
  tf.Reciprocal,
  tf.Rsqrt,
  tf.Square,
  tf.SquaredDifference,
  tf.Tan,
]);

function unaryKernel([kernelName, code]: [string, string]): Kernel {
  return defineKernel(kernelName, ({ inputs: { x }, gpu }) => {
    if (x.dtype === 'float32')
      return gpu.map(x.shape, 'float32', [{ tensor: x }], code, WIDE.has(kernelName));
    if (x.dtype !== 'int32') return undefined;
    if (kernelName in integral) return gpu.map(x.shape, 'int32', [{ tensor: x }], integral[kernelName]);
    if (!OF_INTEGERS.includes(kernelName)) return undefined;
    return gpu.map(x.shape, 'float32', [{ tensor: x }], code.replaceAll('$0', 'f32($0)'));
  });
}

function questionKernel([kernelName, code]: [string, string]): Kernel {
  return defineKernel(kernelName, ({ inputs: { x }, gpu }) =>
    x.dtype === 'float32' ? gpu.map(x.shape, 'bool', [{ tensor: x }], code) : undefined,
  );
}

/** The shape of both, broadcast as in NumPy; throws for shapes that don't broadcast. */
export function broadcastShape(a: TensorInfo, b: TensorInfo): number[] {
  return util.arraysEqual(a.shape, b.shape)
    ? a.shape
    : broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
}

function isNumber(dtype: DataType): dtype is 'float32' | 'int32' {
  return dtype === 'float32' || dtype === 'int32';
}

function binaryKernel([kernelName, code]: [string, string | readonly [string, string]]): Kernel {
  return defineKernel(kernelName, ({ inputs: { a, b }, gpu }) => {
    if (a.dtype !== b.dtype || !isNumber(a.dtype)) return undefined;
    const text = typeof code === 'string' ? code : code[a.dtype === 'float32' ? 0 : 1];
    return gpu.map(broadcastShape(a, b), a.dtype, [{ tensor: a }, { tensor: b }], text, WIDE.has(kernelName));
  });
}

function comparisonKernel([kernelName, code]: [string, string]): Kernel {
  return defineKernel(kernelName, ({ inputs: { a, b }, gpu }) => {
    if (a.dtype !== b.dtype || a.dtype === 'string' || a.dtype === 'complex64') return undefined;
    // A compiler that knows no NaN may turn a comparison around.
    const unordered = kernelName === tf.NotEqual ? '1i' : '0i';
    const answer = `select(0i, 1i, ${code})`;
    const text = a.dtype === 'float32' ? `select(${answer}, ${unordered}, isNan($0) || isNan($1))` : answer;
    return gpu.map(broadcastShape(a, b), 'bool', [{ tensor: a }, { tensor: b }], text);
  });
}

const realDiv = defineKernel(tf.RealDiv, ({ inputs: { a, b }, gpu }) =>
  a.dtype === 'float32' && b.dtype === 'float32'
    ? gpu.map(broadcastShape(a, b), 'float32', [{ tensor: a }, { tensor: b }], '$0 / $1')
    : undefined,
);

/** Of int32 with the sign of the divisor, as in Python; 0 where that is 0, as tfjs has it. */
const divisions: { readonly [kernel: string]: string } = {
  [tf.FloorDiv]: 'select($0 / $1 - select(0i, 1i, $0 % $1 != 0i && ($0 < 0i) != ($1 < 0i)), 0i, $1 == 0i)',
  [tf.Mod]: 'select(($0 % $1 + $1) % $1, 0i, $1 == 0i)',
};

function divisionKernel([kernelName, code]: [string, string]): Kernel {
  return defineKernel(kernelName, ({ inputs: { a, b }, gpu }) =>
    a.dtype === 'int32' && b.dtype === 'int32'
      ? gpu.map(broadcastShape(a, b), 'int32', [{ tensor: a }, { tensor: b }], code)
      : undefined,
  );
}

function logicalKernel([kernelName, code]: [string, string]): Kernel {
  return defineKernel(kernelName, ({ inputs: { a, b }, gpu }) =>
    a.dtype === 'bool' && b.dtype === 'bool'
      ? gpu.map(broadcastShape(a, b), 'bool', [{ tensor: a }, { tensor: b }], code)
      : undefined,
  );
}

const logicalNot = defineKernel(tf.LogicalNot, ({ inputs: { x }, gpu }) =>
  x.dtype === 'bool' ? gpu.map(x.shape, 'bool', [{ tensor: x }], '1i - $0') : undefined,
);

const step = defineKernel<tf.StepAttrs>(tf.Step, ({ inputs: { x }, attrs, gpu }) => {
  if (x.dtype !== 'float32') return undefined;
  const alpha = f32Literal((attrs.alpha as number | undefined) ?? 0);
  const code = `select(select(${alpha}, 1f, $0 > 0f), nan(), isNan($0))`;
  return gpu.map(x.shape, 'float32', [{ tensor: x }], code);
});

const leakyRelu = defineKernel<tf.LeakyReluAttrs>(tf.LeakyRelu, ({ inputs: { x }, attrs, gpu }) => {
  if (x.dtype !== 'float32') return undefined;
  const code = `select(${f32Literal(attrs.alpha as number)} * $0, $0, $0 >= 0f || isNan($0))`;
  return gpu.map(x.shape, 'float32', [{ tensor: x }], code);
});

const clipByValue = defineKernel<tf.ClipByValueAttrs>(tf.ClipByValue, ({ inputs: { x }, attrs, gpu }) => {
  const { clipValueMin, clipValueMax } = attrs;
  if (x.dtype !== 'float32' || !(clipValueMin <= clipValueMax)) return undefined;
  const bounded = `minimum(maximum($0, ${f32Literal(clipValueMin)}), ${f32Literal(clipValueMax)})`;
  return gpu.map(x.shape, 'float32', [{ tensor: x }], `select(${bounded}, nan(), isNan($0))`);
});

/** WGSL that turns a float32, int32 or bool into another. */
const conversions: { readonly [from: string]: { readonly [to: string]: string } } = {
  float32: { int32: 'integerOf($0)', bool: 'select(0i, 1i, $0 != 0f || isNan($0))' },
  int32: { float32: 'f32($0)', bool: 'select(0i, 1i, $0 != 0i)' },
  bool: { float32: 'f32($0)', int32: '$0' },
};

/**
 * x as another dtype. int32 becomes the nearest float32, float32 loses its fraction (what doesn't fit into 32 bits is
 * taken modulo 2³², as in JavaScript; what is not finite becomes 0), bool is x ≠ 0.
 */
const cast = defineKernel<tf.CastAttrs>(tf.Cast, ({ inputs: { x }, attrs: { dtype }, gpu }) => {
  if (x.dtype === dtype && dtype in conversions) return gpu.alias(x, x.shape);
  const code = conversions[x.dtype]?.[dtype];
  return code ? gpu.map(x.shape, dtype, [{ tensor: x }], code) : undefined;
});

const identity = defineKernel(tf.Identity, ({ inputs: { x }, gpu }) =>
  x.dtype === 'complex64' || x.dtype === 'string' ? undefined : gpu.alias(x, x.shape),
);

const reshape = defineKernel<tf.ReshapeAttrs>(tf.Reshape, ({ inputs: { x }, attrs, gpu }) => {
  if (x.dtype === 'complex64' || x.dtype === 'string') return undefined;
  const size = util.sizeFromShape(x.shape);
  const shape = util.inferFromImplicitShape(attrs.shape, size);
  // A shape of another size: the original says so.
  return util.sizeFromShape(shape) === size ? gpu.alias(x, shape) : undefined;
});

/** WGSL of a number as an element of a tensor of a dtype. */
function literal(value: number, dtype: DataType): string | undefined {
  if (dtype === 'float32') return f32Literal(value);
  if (dtype === 'int32') return `i32(${value | 0})`;
  if (dtype === 'bool') return value ? '1i' : '0i';
  return undefined;
}

const fill = defineKernel<tf.FillAttrs>(tf.Fill, ({ attrs: { shape, value, dtype }, gpu }) => {
  if (typeof value === 'string') return undefined;
  const type = dtype ?? util.inferDtype(value);
  const code = literal(Number(value), type);
  return code === undefined ? undefined : gpu.map(shape, type, [], code);
});

function likeKernel(kernelName: string, value: number): Kernel {
  return defineKernel(kernelName, ({ inputs: { x }, gpu }) => {
    const code = literal(value, x.dtype);
    return code === undefined ? undefined : gpu.map(x.shape, x.dtype, [], code);
  });
}

/**
 * t where the condition is true, e elsewhere; t and e of one shape and dtype. The condition has their shape, is one
 * element, or has one for each of their rows.
 */
const select = defineKernel(tf.Select, ({ inputs: { condition, t, e }, gpu }) => {
  if (t.dtype !== e.dtype || !(t.dtype in conversions) || !util.arraysEqual(t.shape, e.shape))
    return undefined;
  if (condition.dtype !== 'bool') return undefined;
  const count = util.sizeFromShape(condition.shape);
  const isRows = condition.shape.length === 1 && count === t.shape[0];
  if (count !== 1 && !isRows && !util.arraysEqual(condition.shape, t.shape)) return undefined;
  const spread = isRows ? [count, ...t.shape.slice(1).fill(1)] : condition.shape;
  const access = broadcastAccess(t.shape, count === 1 ? [] : spread);
  const operands = [{ tensor: condition, access }, { tensor: t }, { tensor: e }];
  return gpu.map(t.shape, t.dtype, operands, 'select($2, $1, $0 != 0i)');
});

/** Tensors that one dispatch adds; with its result they are the eight buffers that every device has. */
const ADDED_AT_ONCE = 7;

/** Σ of tensors of one shape, from the first on. */
const addN = defineKernel(tf.AddN, ({ inputs, gpu }) => {
  // tfjs gives it an array.
  const tensors = Object.values(inputs);
  const [{ dtype, shape }] = tensors;
  if (!isNumber(dtype) || tensors.some((tensor) => tensor.dtype !== dtype)) return undefined;
  const sum = (terms: readonly TensorInfo[]): TensorInfo =>
    gpu.map(
      shape,
      dtype,
      terms.map((tensor) => ({ tensor })),
      terms.map((_, k) => `$${k}`).join(' + '),
    );
  let total = sum(tensors.slice(0, ADDED_AT_ONCE));
  for (let next = ADDED_AT_ONCE; next < tensors.length; next += ADDED_AT_ONCE - 1) {
    const before = total;
    total = sum([before, ...tensors.slice(next, next + ADDED_AT_ONCE - 1)]);
    gpu.disposeData(before.dataId);
  }
  return total;
});

export const elementwiseKernels: readonly Kernel[] = [
  ...Object.entries(unary).map(unaryKernel),
  ...Object.entries(questions).map(questionKernel),
  ...Object.entries(binary).map(binaryKernel),
  ...Object.entries(comparisons).map(comparisonKernel),
  ...Object.entries({ [tf.LogicalAnd]: '$0 & $1', [tf.LogicalOr]: '$0 | $1' }).map(logicalKernel),
  ...Object.entries(divisions).map(divisionKernel),
  realDiv,
  logicalNot,
  step,
  leakyRelu,
  clipByValue,
  cast,
  identity,
  reshape,
  fill,
  likeKernel(tf.ZerosLike, 0),
  likeKernel(tf.OnesLike, 1),
  select,
  addN,
];
