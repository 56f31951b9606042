import { createKey, type NdArray, sizeOf } from '@tenon-ml/core';
import { randomArray } from './reference.js';

/** Inputs of kernels that more than one file of tests calls. */

export function indicesOf(shape: readonly number[], values: readonly number[]): NdArray<'int32'> {
  return { dtype: 'int32', shape, data: Int32Array.from(values) };
}

export type MovableType = 'float32' | 'int32' | 'bool';

/** Values of any dtype; of float32 with what is special. */
export function arrayOf(seed: number, shape: readonly number[], dtype: MovableType = 'float32'): NdArray {
  if (dtype === 'float32') return randomArray(seed, shape, true);
  const bits = createKey(seed).bits(sizeOf(shape));
  if (dtype === 'int32') return { dtype, shape, data: Int32Array.from(bits, (word) => word | 0) };
  return { dtype, shape, data: Uint8Array.from(bits, (word) => word & 1) };
}

/** Query, key, value and dy of Attention. Keys and queries may differ in number, values in size. */
export function attentionInputs(
  seed: number,
  [batch, heads, queries, keys, size, width]: readonly number[],
  special = false,
) {
  return {
    query: randomArray(seed, [batch, heads, queries, size], special),
    key: randomArray(seed + 1, [batch, heads, keys, size], special),
    value: randomArray(seed + 2, [batch, heads, keys, width], special),
    dy: randomArray(seed + 3, [batch, heads, queries, width]),
  };
}

/** Of a cross-entropy: probabilities, or one class for each row, but for rows of zeros. */
export function targets(seed: number, rows: number, classes: number, soft: boolean): NdArray<'float32'> {
  const { shape, data } = randomArray(seed, [rows, classes]);
  const chosen = (i: number) => (Math.floor(i / classes) * 7 + seed) % (classes + 1);
  return {
    dtype: 'float32',
    shape,
    data: data.map((value, i) => (soft ? Math.abs(value) / classes : i % classes === chosen(i) ? 1 : 0)),
  };
}

/** Mean and biased variance of each column, for BatchNorm. */
export function statistics({ shape, data }: NdArray<'float32'>): { [name: string]: NdArray<'float32'> } {
  const [rows, columns] = shape;
  const mean = new Float32Array(columns);
  const variance = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    const values = Array.from({ length: rows }, (_, row) => data[row * columns + column]);
    const center = values.reduce((sum, value) => sum + value, 0) / rows;
    mean[column] = center;
    variance[column] = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / rows;
  }
  const array = (values: Float32Array) => ({ dtype: 'float32' as const, shape: [columns], data: values });
  return { mean: array(mean), variance: array(variance) };
}

/** A call of AdamMoments for parameters of these shapes. */
export function adamCall(shapes: readonly number[][], seed: number, biasCorrection: boolean) {
  const inputs: { [name: string]: NdArray } = {};
  for (const [i, shape] of shapes.entries()) {
    inputs[`update${i}`] = randomArray(seed + 3 * i, shape);
    inputs[`first${i}`] = randomArray(seed + 3 * i + 1, shape);
    const second = randomArray(seed + 3 * i + 2, shape);
    inputs[`second${i}`] = { ...second, data: second.data.map((value) => value * value) };
  }
  if (biasCorrection) Object.assign(inputs, { rootScale: scalar(0.3), epsilon: scalar(3e-8) });
  const attrs = { count: shapes.length, beta1: 0.9, beta2: 0.999, epsilon: 1e-6, biasCorrection };
  return { kernel: 'AdamMoments', inputs, attrs };
}

function scalar(value: number): NdArray<'float32'> {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) };
}

/** Gates and cell of LSTMCell. */
export function lstmInputs(rows: number, units: number, seed: number, scale = 1, special = false) {
  const gates = randomArray(seed, [rows, 4 * units], special);
  for (let i = 0; i < gates.data.length; i++) gates.data[i] *= scale;
  const cell = randomArray(seed + 1, [rows, units], special);
  return { gates, cell };
}

/** The key of PhiloxUniform. */
export function keyOf(words: readonly number[]): NdArray<'int32'> {
  return { dtype: 'int32', shape: [2], data: Int32Array.from(words, (value) => value | 0) };
}
