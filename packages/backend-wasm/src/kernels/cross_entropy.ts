import { OneHot, type OneHotAttrs, Softmax, type SoftmaxAttrs, util } from '@tensorflow/tfjs-core';
import { HEAVY, LIGHT } from './elementwise.js';
import { defineKernel, floatBits, type Kernel } from './kernel.js';

/** Rows of `count` elements that make a part. */
function rowsOf(count: number): number {
  return Math.max(1, Math.floor(HEAVY / Math.max(1, count)));
}

/** e^(x − max x) / Σ e^(x − max x) over the last axis. */
const softmax = defineKernel<SoftmaxAttrs>(Softmax, ({ inputs: { logits }, attrs: { dim }, engine }) => {
  const { dtype, shape } = logits;
  const axis = dim < 0 ? shape.length + dim : dim;
  if (dtype !== 'float32' || axis !== shape.length - 1 || axis < 0) return undefined;
  const count = shape[axis];
  const rows = util.sizeFromShape(shape.slice(0, -1));
  const out = engine.allocate(shape, 'float32');
  const perPart = rowsOf(count);
  const parts = count === 0 ? 0 : Math.ceil(rows / perPart);
  engine.launch('softmax', parts, [engine.block(logits)], [engine.block(out)], [rows, count, perPart]);
  return out;
});

/** core's op: −Σ t · log softmax(x) of each row. */
const softmaxCrossEntropy = defineKernel('SoftmaxCrossEntropy', ({ inputs: { logits, target }, engine }) => {
  const [rows, count] = logits.shape;
  if (logits.dtype !== 'float32' || target.dtype !== 'float32') return undefined;
  const out = engine.allocate([rows], 'float32');
  const perPart = rowsOf(count);
  engine.launch(
    'softmaxCrossEntropy',
    Math.ceil(rows / perPart),
    [engine.block(logits), engine.block(target)],
    [engine.block(out)],
    [rows, count, perPart],
  );
  return out;
});

/** Its gradient with respect to the logits: dy · (softmax(x) · Σ t − t). */
const softmaxCrossEntropyGrad = defineKernel(
  'SoftmaxCrossEntropyGrad',
  ({ inputs: { dy, logits, target }, engine }) => {
    const [rows, count] = logits.shape;
    if ([dy, logits, target].some(({ dtype }) => dtype !== 'float32')) return undefined;
    const out = engine.allocate(logits.shape, 'float32');
    const perPart = rowsOf(count);
    engine.launch(
      'softmaxCrossEntropyGrad',
      Math.ceil(rows / perPart),
      [engine.block(dy), engine.block(logits), engine.block(target)],
      [engine.block(out)],
      [rows, count, perPart],
    );
    return [out];
  },
);

/** core's op: max(x, 0) − x·t + log(1 + e^−|x|) of logits and targets of one shape. */
const sigmoidCrossEntropy = defineKernel('SigmoidCrossEntropy', ({ inputs: { logits, target }, engine }) => {
  const alike = util.arraysEqual(logits.shape, target.shape);
  if (!alike || logits.dtype !== 'float32' || target.dtype !== 'float32') return undefined;
  const out = engine.allocate(logits.shape, 'float32');
  const size = util.sizeFromShape(logits.shape);
  engine.launch(
    'sigmoidCrossEntropy',
    Math.ceil(size / HEAVY),
    [engine.block(logits), engine.block(target)],
    [engine.block(out)],
    [size, HEAVY],
  );
  return out;
});

/** For each int32 a row of `depth` numbers, `offValue` but for `onValue` in the place that it names, if there is one. */
const oneHot = defineKernel<OneHotAttrs>(OneHot, ({ inputs: { indices }, attrs, engine }) => {
  const { depth, onValue, offValue, dtype = 'int32' } = attrs;
  if (indices.dtype !== 'int32' || (dtype !== 'float32' && dtype !== 'int32')) return undefined;
  const out = engine.allocate([...indices.shape, depth], dtype);
  const rows = util.sizeFromShape(indices.shape);
  const perPart = Math.max(1, Math.floor(LIGHT / Math.max(1, depth)));
  const bits = dtype === 'float32' ? floatBits : Math.trunc;
  engine.launch(
    'oneHot',
    Math.ceil(rows / perPart),
    [engine.block(indices)],
    [engine.block(out)],
    [rows, depth, perPart, bits(onValue), bits(offValue)],
  );
  return out;
});

export const crossEntropyKernels: readonly Kernel[] = [
  softmax,
  softmaxCrossEntropy,
  softmaxCrossEntropyGrad,
  sigmoidCrossEntropy,
  oneHot,
];
