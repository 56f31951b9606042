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
import { defineOp, definePrimitive, type OpDefinition, type PrimitiveDefinition } from '../op.js';

type Inputs = { readonly logits: Tensor; readonly target: Tensor };

/** log softmax by rows: x − max x − log Σ exp(x − max x); finite where x − max x is. */
function logSoftmaxRows(logits: Tensor): Tensor {
  const shifted = sub(logits, max(logits, 1, true));
  return sub(shifted, log(sum(exp(shifted), 1, true)));
}

/** ∂H/∂x = softmax(x) · Σ_c t_c − t, times dy [n]: the gradient of `SoftmaxCrossEntropy` with respect to the logits. */
export const softmaxCrossEntropyGradDefinition: PrimitiveDefinition<
  Inputs & { readonly dy: Tensor },
  Record<string, never>
> = {
  name: 'SoftmaxCrossEntropyGrad',
  reference({ dy, logits, target }) {
    const probabilities = exp(logSoftmaxRows(logits));
    return [mul(expandDims(dy, 1), sub(mul(probabilities, sum(target, 1, true)), target))];
  },
};

const softmaxCrossEntropyGrad = definePrimitive(softmaxCrossEntropyGradDefinition);

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
  gradient: (dy, { inputs: { logits, target } }) => ({
    logits: softmaxCrossEntropyGrad({ dy, logits, target }, {})[0],
    target: mul(expandDims(dy, 1), neg(logSoftmaxRows(logits))),
  }),
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
