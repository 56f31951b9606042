import { defineKernel } from './kernel.js';

/** core's op: one of two tensors, by a bool scalar, which is read where the choice is made. */
export const choose = defineKernel('Choose', ({ inputs: { condition, yes, no }, gpu }) =>
  gpu.map(
    yes.shape,
    yes.dtype,
    [{ tensor: condition }, { tensor: yes }, { tensor: no }],
    'select($2, $1, $0 != 0i)',
  ),
);
