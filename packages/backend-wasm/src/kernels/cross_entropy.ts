import { Softmax, type SoftmaxAttrs, util } from '@tensorflow/tfjs-core';
import { defineKernel, type Kernel } from './kernel.js';
import { rowsInPart } from './parts.js';

/** An exponential costs some ten times as much as moving the number. */
const COST = 10;

/** Core's op: −Σ target · log softmax(logits) by rows of [rows, classes]. */
const softmaxCrossEntropy = defineKernel('SoftmaxCrossEntropy', ({ inputs, engine }) => {
  const { logits, target } = inputs;
  const [rows, classes] = logits.shape;
  const out = engine.allocate([rows], 'float32');
  const perPart = rowsInPart(COST * classes);
  engine.launch(
    'softmaxCrossEntropy',
    Math.ceil(rows / perPart),
    [engine.block(logits), engine.block(target)],
    [engine.block(out)],
    [rows, classes, perPart],
  );
  return out;
});

/** Its gradient with respect to the logits: dy · (softmax(logits) · Σ target − target). */
const softmaxCrossEntropyGrad = defineKernel('SoftmaxCrossEntropyGrad', ({ inputs, engine }) => {
  const { dy, logits, target } = inputs;
  const [rows, classes] = logits.shape;
  const out = engine.allocate(logits.shape, 'float32');
  const perPart = rowsInPart(COST * classes);
  engine.launch(
    'softmaxCrossEntropyGrad',
    Math.ceil(rows / perPart),
    [engine.block(dy), engine.block(logits), engine.block(target)],
    [engine.block(out)],
    [rows, classes, perPart],
  );
  return [out];
});

/** Over the last axis, of float32; anything else goes to tfjs-backend-cpu. */
const softmax = defineKernel<SoftmaxAttrs>(Softmax, ({ inputs: { logits }, attrs: { dim }, engine }) => {
  const rank = logits.shape.length;
  if (logits.dtype !== 'float32' || rank === 0 || (dim !== -1 && dim !== rank - 1)) return undefined;
  const classes = logits.shape[rank - 1];
  if (classes === 0) return undefined;
  const rows = util.sizeFromShape(logits.shape) / classes;
  const out = engine.allocate(logits.shape, 'float32');
  const perPart = rowsInPart(COST * classes);
  engine.launch(
    'softmaxRows',
    Math.ceil(rows / perPart),
    [engine.block(logits)],
    [engine.block(out)],
    [rows, classes, perPart],
  );
  return out;
});

export const crossEntropyKernels: readonly Kernel[] = [softmaxCrossEntropy, softmaxCrossEntropyGrad, softmax];
