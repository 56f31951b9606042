import { Softmax, type SoftmaxAttrs, util } from '@tensorflow/tfjs-core';
import { HEAVY } from './elementwise.js';
import { defineKernel, type Kernel } from './kernel.js';

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

export const crossEntropyKernels: readonly Kernel[] = [softmax, softmaxCrossEntropy, softmaxCrossEntropyGrad];
