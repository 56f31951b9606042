import { compile, fromNested, type NdArray, read, scalar, type Tree } from '@tenon-ml/core';
import { cpu } from '@tenon-ml/testkit';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { started, testedBackend } from '../hosts/tested_backend.js';

const [recording, reference] = started(testedBackend(), cpu());

const [rows, columns] = [3, 4];

type Matrix = tf.Tensor2D;

const int = (x: tf.Tensor): tf.Tensor => tf.cast(x, 'int32');
const float = (x: tf.Tensor): tf.Tensor => tf.cast(x, 'float32');
const bool = (x: tf.Tensor): tf.Tensor => tf.cast(x, 'bool');
/** Both as float32 or, where they are of one dtype, as that. */
const alike = (a: tf.Tensor, b: tf.Tensor): [tf.Tensor, tf.Tensor] =>
  a.dtype === b.dtype && a.dtype !== 'bool' ? [a, b] : [float(a), float(b)];
/** Small enough that whatever is made of it is exact. */
const small = (x: tf.Tensor): tf.Tensor =>
  x.dtype === 'bool'
    ? x
    : tf.minimum(tf.maximum(x, tf.scalar(-9, x.dtype as 'int32')), tf.scalar(9, x.dtype as 'int32'));

/** 0 or 2 for each row. */
const places = (x: tf.Tensor): tf.Tensor1D =>
  tf.reshape(tf.mul(int(bool(tf.slice(x, [0, 0], [rows, 1]))), tf.scalar(2, 'int32')), [rows]);

/** Steps of a program on [rows, columns] of any dtype, and on the number s. */
const operations: readonly ((a: Matrix, b: Matrix, s: tf.Tensor) => tf.Tensor)[] = [
  (a, b) => tf.add(...alike(a, b)),
  (a, b) => tf.mul(...alike(a, b)),
  (a, b) => tf.sub(...alike(a, b)),
  (a, b) => tf.maximum(...alike(a, b)),
  (a, b) => tf.addN([...alike(a, b), alike(a, b)[0]]),
  (a, b) => tf.greater(...alike(a, b)),
  (a, b) => tf.equal(...alike(a, b)),
  (a, b) => tf.logicalAnd(bool(a), bool(b)),
  (a) => tf.logicalNot(bool(a)),
  (a, b) => tf.where(bool(a), ...alike(b, a)),
  (a, _, s) => tf.mul(float(a), s),
  (a, _, s) => tf.add(int(a), tf.add(int(s), 1)),
  (a) => tf.add(int(a), tf.mul(tf.scalar(3, 'int32'), tf.onesLike(int(a)))),
  (a) => tf.neg(float(a)),
  (a) => int(a),
  (a) => float(a),
  (a, b) => tf.add(float(a), tf.sum(float(b), 1, true)),
  (a, b) => tf.add(int(a), tf.max(int(b), 0, true)),
  (a, b) => tf.mul(float(a), float(tf.expandDims(tf.argMax(float(b), 1), 1))),
  (a) => tf.reshape(tf.transpose(a), [rows, columns]),
  (a, b) => tf.slice(tf.concat(alike(a, b), 0), [1, 0], [rows, columns]),
  (a) =>
    tf.slice(
      tf.pad(float(a), [
        [1, 0],
        [0, 2],
      ]),
      [0, 1],
      [rows, columns],
    ),
  (a, b) => tf.matMul(tf.matMul(float(a) as Matrix, float(b) as Matrix, false, true), float(b) as Matrix),
  (a, b) => tf.gather(a, places(tf.greater(...alike(b, a)))),
  (a, b) => tf.unsortedSegmentSum(float(a), places(b), rows),
  // Of a copy: tfjs's reference writes into its argument.
  (a) =>
    tf.tensorScatterUpdate(
      tf.mul(float(a), 1),
      tf.tensor2d([[2], [0]], [2, 1], 'int32'),
      tf.ones([2, columns]),
    ),
  (a) => tf.cumsum(float(a), 1),
  (a) => tf.reverse(a, 1),
];

const instruction = fc.record({
  operation: fc.nat({ max: operations.length - 1 }),
  a: fc.nat(),
  b: fc.nat(),
});

// Of 0 and −0, either may be the larger one.
const values = (arrays: readonly NdArray[]) =>
  arrays.map(({ dtype, data }) => [dtype, ...Array.from(data as Int32Array, (value) => value + 0)]);

test('a program on whole numbers of every dtype gives what tfjs’s reference gives, replayed or not', {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(instruction, { minLength: 3, maxLength: 12 }),
      fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
      async (instructions, kept) => {
        const program = (x: Matrix, y: Matrix, z: Matrix, s: tf.Tensor): tf.Tensor[] => {
          const known: tf.Tensor[] = [x, y, z];
          for (const { operation, a, b } of instructions) {
            const [left, right] = [known[a % known.length], known[b % known.length]] as Matrix[];
            known.push(small(operations[operation](left, right, s)));
          }
          return kept.map((k) => known[k % known.length]);
        };
        const [f, g] = [compile(program, { backend: recording }), compile(program, { backend: reference })];
        for (let call = 0; call < 4; call++) {
          const numbers = (by: number) =>
            Array.from({ length: rows }, (_, i) =>
              Array.from({ length: columns }, (_, k) => ((i * columns + k + call) * by) % 5),
            );
          const args = [
            fromNested(numbers(3)),
            fromNested(numbers(7), 'int32'),
            {
              ...fromNested(numbers(2), 'int32'),
              dtype: 'bool',
              data: Uint8Array.from(numbers(2).flat(), (v) => v % 2),
            },
            scalar(call),
          ] as unknown as Parameters<typeof f>;
          const got = (await read(f(...args) as Tree<tf.Tensor>)) as unknown as NdArray[];
          const wanted = (await read(g(...args) as Tree<tf.Tensor>)) as unknown as NdArray[];
          expect(values(got)).toEqual(values(wanted));
        }
      },
    ),
  );
});
