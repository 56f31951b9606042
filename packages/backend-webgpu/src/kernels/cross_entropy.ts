import { OneHot, type OneHotAttrs, Softmax, type SoftmaxAttrs, util } from '@tensorflow/tfjs-core';
import { stridedAccess } from '../graph.js';
import { f32Literal } from '../prelude.js';
import type { Subgroups } from '../subgroups.js';
import { defineKernel, type Kernel } from './kernel.js';
import { type RowCode, type RowLayout, rowGroups, rowLayout, rowProgram } from './rows.js';

/** The largest element of the row, and Σ e^(x − largest). */
function statistics(row: RowCode, input: number): string {
  const { each, element } = row;
  return `
    var high = -infinity();
    ${each(`high = maximum(high, ${element(input)});`)}
    high = ${row.largest('high')};
    var total = 0f;
    ${each(`total += exponential(${element(input)} - high);`)}
    total = ${row.sum('total')};`;
}

const softmaxProgram = (subgroups: Subgroups | undefined, layout: RowLayout) =>
  rowProgram(subgroups, layout, {
    key: 'softmax',
    inputs: 1,
    wide: [0],
    code: (row) => `
      ${statistics(row, 0)}
      ${row.each(`store(base + column, exponential(${row.element(0)} - high) / total);`)}`,
  });

/** e^(x − max x) / Σ e^(x − max x) over the last axis. */
const softmax = defineKernel<SoftmaxAttrs>(Softmax, ({ inputs: { logits }, attrs: { dim }, gpu }) => {
  const { dtype, shape } = logits;
  const axis = dim < 0 ? shape.length + dim : dim;
  if (dtype !== 'float32' || axis !== shape.length - 1 || axis < 0) return undefined;
  const count = shape[axis];
  const rows = util.sizeFromShape(shape.slice(0, -1));
  const out = gpu.allocate(shape, 'float32');
  if (rows * count === 0) return out;
  const layout = rowLayout(count);
  gpu.launch(softmaxProgram(gpu.subgroups, layout), [logits], [out], [rows, count], rowGroups(rows, layout));
  return out;
});

const crossEntropyProgram = (subgroups: Subgroups | undefined, layout: RowLayout) =>
  rowProgram(subgroups, layout, {
    key: 'softmaxCrossEntropy',
    inputs: 2,
    wide: [0, 1],
    code: (row) => `
      ${statistics(row, 0)}
      let logTotal = logarithm(total);
      var loss = 0f;
      ${row.each(`loss += ${row.element(1)} * (${row.element(0)} - high - logTotal);`)}
      loss = ${row.sum('loss')};
      if (inside && along == 0u) { store(row, -loss); }`,
  });

/** core's op: −Σ t · log softmax(x) of each row. */
const softmaxCrossEntropy = defineKernel('SoftmaxCrossEntropy', ({ inputs: { logits, target }, gpu }) => {
  const [rows, count] = logits.shape;
  if (count === 0) return gpu.map([rows], 'float32', [], '0f');
  const out = gpu.allocate([rows], 'float32');
  if (rows === 0) return out;
  const layout = rowLayout(count);
  gpu.launch(
    crossEntropyProgram(gpu.subgroups, layout),
    [logits, target],
    [out],
    [rows, count],
    rowGroups(rows, layout),
  );
  return out;
});

// dy is one number a row: what makes it is made again by each invocation, which is less than a dispatch of its own.
const crossEntropyGradProgram = (subgroups: Subgroups | undefined, layout: RowLayout) =>
  rowProgram(subgroups, layout, {
    key: 'softmaxCrossEntropyGrad',
    inputs: 3,
    wide: [1, 2],
    loads: [0],
    float16: 'makes',
    code: (row) => `
      ${statistics(row, 1)}
      let logTotal = logarithm(total);
      var mass = 0f;
      ${row.each(`mass += ${row.element(2)};`)}
      mass = ${row.sum('mass')};
      if (inside) {
        let above = load0(row);
        ${row.each(`store(base + column, above * (exponential(${row.element(1)} - high - logTotal) * mass - ${row.element(2)}));`)}
      }`,
  });

/** Its gradient with respect to the logits: dy · (softmax(x) · Σ t − t). */
const softmaxCrossEntropyGrad = defineKernel(
  'SoftmaxCrossEntropyGrad',
  ({ inputs: { dy, logits, target }, gpu }) => {
    const [rows, count] = logits.shape;
    const out = gpu.allocate(logits.shape, 'float32');
    if (rows * count === 0) return [out];
    const layout = rowLayout(count);
    gpu.launch(
      crossEntropyGradProgram(gpu.subgroups, layout),
      [dy, logits, target],
      [out],
      [rows, count],
      rowGroups(rows, layout),
    );
    return [out];
  },
);

/** core's op: max(x, 0) − x·t + log(1 + e^−|x|) of logits and targets of one shape. */
const sigmoidCrossEntropy = defineKernel('SigmoidCrossEntropy', ({ inputs: { logits, target }, gpu }) =>
  gpu.map(
    logits.shape,
    'float32',
    [{ tensor: logits }, { tensor: target }],
    'maximum($0, 0f) - $0 * $1 + logarithmOfOnePlus(exponential(-abs($0)))',
    true,
  ),
);

/** For each int32 a row of `depth` numbers, `offValue` but for `onValue` in the place that it names, if there is one. */
const oneHot = defineKernel<OneHotAttrs>(OneHot, ({ inputs: { indices }, attrs, gpu }) => {
  const { depth, onValue, offValue, dtype = 'int32' } = attrs;
  if (indices.dtype !== 'int32' || (dtype !== 'float32' && dtype !== 'int32')) return undefined;
  const shape = [...indices.shape, depth];
  const rows = util.sizeFromShape(indices.shape);
  const literal = (value: number): string =>
    dtype === 'float32' ? f32Literal(value) : `i32(${Math.trunc(value)})`;
  // The depth is in the code: there are few of them, and so it can be joined to what comes after.
  const code = `select(${literal(offValue)}, ${literal(onValue)}, $0 == i32(i % ${depth}u))`;
  const access = stridedAccess([rows, depth], [1, 0], 0);
  return gpu.map(shape, dtype, [{ tensor: indices, access }], code);
});

export const crossEntropyKernels: readonly Kernel[] = [
  softmax,
  softmaxCrossEntropy,
  softmaxCrossEntropyGrad,
  sigmoidCrossEntropy,
  oneHot,
];
