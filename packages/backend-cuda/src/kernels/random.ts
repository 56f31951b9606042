import { STEP_DOMAIN } from '@tenon-ml/core';
import { typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';

interface Attrs {
  readonly site: number;
  readonly shape: readonly number[];
}

/** TensorFlow's number of Philox4x32-10 among its generators. */
const PHILOX = 1;

export const randomKernels: readonly Kernel[] = [
  /**
   * TensorFlow's own Philox gives word i mod 4 of the counter that it is given plus ⌊i/4⌋ as its element i, which is how
   * core defines these numbers. Its uniform floats have 23 bits, and ours 24, so they are made of the words here.
   */
  defineKernel<Attrs>('PhiloxUniform', ({ inputs: { key }, attrs: { site, shape }, ops }) => {
    const wide = [typeAttribute('T', 'int32'), typeAttribute('type', 'uint64')];
    // Two words make one number of 64 bits, the lower one first.
    const counter = ops.one('Bitcast', wide, [ops.integers([0, 0, site | 0, STEP_DOMAIN], [2, 2])]);
    const inputs = [
      ops.integers(shape),
      ops.one('Bitcast', wide, [ops.reshape(key, [1, 2])]),
      counter,
      ops.integers([PHILOX], []),
    ];
    const attributes = [typeAttribute('dtype', 'uint32'), typeAttribute('Tshape', 'int32')];
    const words = ops.one('StatelessRandomUniformFullIntV2', attributes, inputs);
    const eight = ops.one(
      'Bitcast',
      [typeAttribute('T', 'int32'), typeAttribute('type', 'uint32')],
      [ops.integers([8], [])],
    );
    const upper = ops.one('RightShift', [typeAttribute('T', 'uint32')], [words, eight]);
    const numbers = ops.one(
      'Cast',
      [typeAttribute('SrcT', 'uint32'), typeAttribute('DstT', 'float32')],
      [upper],
    );
    return ops.map('Mul', numbers, ops.number(2 ** -24));
  }),
];
