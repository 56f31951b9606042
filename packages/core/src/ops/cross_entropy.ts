import {
  abs,
  add,
  cast,
  exp,
  expandDims,
  log,
  log1p,
  max,
  mul,
  neg,
  oneHot,
  relu,
  sigmoid,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@tensorflow/tfjs-core';
import { defineOp, type OpDefinition } from '../op.js';

type Inputs = { readonly logits: Tensor; readonly target: Tensor };

/** log softmax by rows: x − max x − log Σ exp(x − max x); finite where x − max x is. */
function logSoftmaxRows(logits: Tensor): Tensor {
  const shifted = sub(logits, max(logits, 1, true));
  return sub(shifted, log(sum(exp(shifted), 1, true)));
}

/**
 * Cross-entropy of softmax(logits) [n, classes] with target probabilities [n, classes], per row:
 *
 *   H = −Σ_c t_c · log softmax(x)_c,   ∂H/∂x = softmax(x) · Σ_c t_c − t
 *
 * The gradient is written out, so that neither pass loses digits where a probability underflows.
 */
export const softmaxCrossEntropyDefinition: OpDefinition<Inputs, Record<string, never>> = {
  name: 'SoftmaxCrossEntropy',
  reference: ({ logits, target }) => neg(sum(mul(target, logSoftmaxRows(logits)), 1)),
  gradient(dy, { inputs: { logits, target } }) {
    const scale = expandDims(dy, 1);
    const logProbabilities = logSoftmaxRows(logits);
    return {
      logits: mul(scale, sub(mul(exp(logProbabilities), sum(target, 1, true)), target)),
      target: mul(scale, neg(logProbabilities)),
    };
  },
};

const softmaxCrossEntropyOp = defineOp(softmaxCrossEntropyDefinition);

/** See `softmaxCrossEntropyDefinition`. logits and target: float32 [n, classes]; the result: [n]. */
export function softmaxCrossEntropyRows(logits: Tensor2D, target: Tensor2D): Tensor1D {
  return softmaxCrossEntropyOp({ logits, target }, {}) as Tensor1D;
}

/** Integer labels [n] as float32 probabilities [n, classes]. A row whose label is out of range is all zeros. */
export function labelsToProbabilities(labels: Tensor1D, classes: number): Tensor2D {
  return cast(oneHot(cast(labels, 'int32') as Tensor1D, classes), 'float32') as Tensor2D;
}

/**
 * Cross-entropy of sigmoid(logits) with target probabilities of the same shape, per element:
 *
 *   H = max(x, 0) − x·t + log(1 + exp(−|x|)),   ∂H/∂x = sigmoid(x) − t,   ∂H/∂t = −x
 *
 * exp only sees numbers that are not positive, so nothing overflows. The gradient is written out: it is shorter than
 * the tape's, and doesn't rest on what tfjs takes for the derivatives of max(x, 0) and |x| at 0.
 */
export const sigmoidCrossEntropyDefinition: OpDefinition<Inputs, Record<string, never>> = {
  name: 'SigmoidCrossEntropy',
  reference: ({ logits, target }) =>
    add(sub(relu(logits), mul(logits, target)), log1p(exp(neg(abs(logits))))),
  gradient: (dy, { inputs: { logits, target } }) => ({
    logits: mul(dy, sub(sigmoid(logits), target)),
    target: mul(dy, neg(logits)),
  }),
};

const sigmoidCrossEntropyOp = defineOp(sigmoidCrossEntropyDefinition);

/** See `sigmoidCrossEntropyDefinition`. logits and target: float32 of one shape, which is the result's too. */
export function sigmoidCrossEntropyElements(logits: Tensor, target: Tensor): Tensor {
  return sigmoidCrossEntropyOp({ logits, target }, {});
}
