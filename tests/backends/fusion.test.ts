import { compile, createKey, type NdArray, read, type Tree } from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { started, testedBackend } from '../hosts/tested_backend.js';
import { expectAgreement } from './kernels/reference.js';

const [recording, eager] = started(testedBackend(), testedBackend({ record: false }));

const [rows, columns] = [6, 10];

/** Steps of a program on values of [rows, columns], and on what is smaller along one axis or both. */
const operations: readonly ((a: tf.Tensor, b: tf.Tensor) => tf.Tensor)[] = [
  (a, b) => tf.add(a, b),
  (a, b) => tf.mul(a, b),
  (a, b) => tf.sub(a, b),
  (a) => tf.relu(a),
  (a) => tf.tanh(a),
  (a) => tf.mul(a, 0.5),
  (a, b) => tf.where(tf.greater(a, b), a, tf.zerosLike(a)),
  (a) => tf.mean(a, 0, true),
  (a) => tf.mean(a, 1, true),
  (a) => tf.mean(a),
  (a) => tf.reshape(tf.tanh(tf.transpose(a)), [rows, columns]),
  (a, b) => tf.tanh(tf.matMul(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true), b as tf.Tensor2D)),
  (a) => tf.softmax(a),
  (a) => tf.reshape(tf.pad(tf.slice(tf.reshape(a, [-1]), 1, a.size - 2), [[1, 1]]), [rows, columns]),
];

/** Whether an operation can take two values; the last ones want matrices of the full size. */
function applies(operation: number, a: tf.Tensor, b: tf.Tensor): boolean {
  const isFull = (x: tf.Tensor): boolean => x.shape.length === 2 && x.size === rows * columns;
  if (operation >= 11) return isFull(a) && isFull(b);
  if (operation >= 7) return isFull(a);
  if (operation === 6) return a.shape.join() === b.shape.join();
  return isFull(a) || isFull(b) || a.shape.join() === b.shape.join();
}

const instruction = fc.record({
  operation: fc.nat({ max: operations.length - 1 }),
  a: fc.nat(),
  b: fc.nat(),
});

test('any program gives what it gives op by op, whatever is joined to what', {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(instruction, { minLength: 3, maxLength: 14 }),
      fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
      async (instructions, kept) => {
        const program = (x: tf.Tensor, y: tf.Tensor, s: tf.Tensor): tf.Tensor[] => {
          const values = [x, y, tf.mul(x, s)];
          for (const { operation, a, b } of instructions) {
            const [left, right] = [values[a % values.length], values[b % values.length]];
            if (applies(operation, left, right)) values.push(operations[operation](left, right));
          }
          return kept.map((k) => values[3 + (k % Math.max(1, values.length - 3))] ?? values[2]);
        };
        const [f, g] = [compile(program, { backend: recording }), compile(program, { backend: eager })];
        for (let call = 0; call < 3; call++) {
          const key = createKey(call);
          const args = [key.normal([rows, columns]), key.foldIn('y').normal([rows, columns])] as const;
          const s: NdArray = { dtype: 'float32', shape: [], data: Float32Array.of(0.5 + call) };
          const got = (await read(f(args[0], args[1], s) as Tree<tf.Tensor>)) as unknown as NdArray[];
          const wanted = (await read(g(args[0], args[1], s) as Tree<tf.Tensor>)) as unknown as NdArray[];
          for (const [k, array] of got.entries()) {
            expectAgreement(array, wanted[k], { op: 'transcendental', reduction: 100 });
          }
        }
        expect(f.explain().mode).toBe('replayed');
      },
    ),
  );
});
