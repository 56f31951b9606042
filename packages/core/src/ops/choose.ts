import { type Tensor, where } from '@tensorflow/tfjs-core';
import { TenonError } from '../errors.js';
import { formatShape, sameShape } from '../ndarray.js';
import { defineOp, type OpDefinition } from '../op.js';

type Inputs = { readonly condition: Tensor; readonly yes: Tensor; readonly no: Tensor };

/** The tensor `yes` where the bool scalar `condition` is true, `no` where it is false. Of one shape and dtype. */
export const chooseDefinition: OpDefinition<Inputs, Record<string, never>> = {
  name: 'Choose',
  reference: ({ condition, yes, no }) => where(condition, yes, no),
};

const chooseOp = defineOp(chooseDefinition);

/**
 * One of two tensors as a whole, by a bool scalar; what isn't chosen has no influence, NaN or not. tfjs's `where`
 * would spread the condition over the shape first, which costs more than the choice.
 *
 * It has no gradient of its own: it is for what comes after the backward pass. Throws `SHAPE_MISMATCH` for a condition
 * that is no bool scalar, and for two tensors that differ in shape or dtype.
 */
export function choose(condition: Tensor, yes: Tensor, no: Tensor): Tensor {
  const one = condition.dtype === 'bool' && condition.shape.length === 0;
  if (one && sameShape(yes.shape, no.shape) && yes.dtype === no.dtype) {
    return chooseOp({ condition, yes, no }, {});
  }
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where: 'choose',
    expected: 'a bool scalar as the condition, and two tensors of one shape and dtype',
    got: [condition, yes, no].map(({ dtype, shape }) => `${dtype} ${formatShape(shape)}`).join(', '),
  });
}
