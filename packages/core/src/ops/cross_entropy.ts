import {
  cast,
  expandDims,
  exp,
  log,
  max,
  mul,
  neg,
  oneHot,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@tensorflow/tfjs-core';
import { defineOp, type OpDefinition } from '../op.js';

type Inputs = { readonly logits: Tensor; readonly target: Tensor };

/** log softmax by rows: x − max x − log Σ exp(x − max x); finite for every finite x. */
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
