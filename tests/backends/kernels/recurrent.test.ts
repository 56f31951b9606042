import {
  compile,
  lstmCell,
  lstmCellDefinition,
  lstmCellGradDefinition,
  type NdArray,
  read,
  valueAndGrad,
} from '@tenon-ml/core';
import { sum, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lstmInputs } from './inputs.js';
import {
  backendPair,
  expectAgreement,
  expectSame,
  randomArray,
  runDefinition,
  runKernelForAll,
} from './reference.js';

const { ours, reference } = backendPair();

// Not special and saturated at once: Inf · (1 − y) is Inf or NaN by the last digit of y.
const cases = fc.record({
  rows: fc.integer({ min: 0, max: 5 }),
  units: fc.integer({ min: 0, max: 19 }),
  values: fc.constantFrom(
    { scale: 0.1, special: false },
    { scale: 30, special: false },
    { scale: 200, special: false },
    { scale: 1, special: true },
  ),
  seed: fc.nat(),
});

function joined(...arrays: readonly NdArray[]): NdArray {
  const data = Float32Array.from(arrays.flatMap((array) => [...(array.data as Float32Array)]));
  return { dtype: 'float32', shape: [data.length], data };
}

test('LSTMCell is its definition', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, units, values: { scale, special }, seed }) => {
      const inputs = lstmInputs(rows, units, seed, scale, special);
      const [actual] = await runKernelForAll(ours, { kernel: 'LSTMCell', inputs });
      const [expected] = await runDefinition(reference, lstmCellDefinition, { inputs });
      expectAgreement(actual, expected, { op: 'transcendental' });
    }),
  );
});

test('LSTMCellGrad is its definition', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, units, values: { scale, special }, seed }) => {
      const dy = randomArray(seed + 2, [rows, 2 * units], special);
      const inputs = { dy, ...lstmInputs(rows, units, seed, scale, special) };
      const actual = await runKernelForAll(ours, { kernel: 'LSTMCellGrad', inputs });
      const expected = await runDefinition(reference, lstmCellGradDefinition, { inputs });
      expect(actual.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
      // Where gates saturate, 1 − y is off by a rounding of 1 and the gradient by as much of dy: dy sets the scale.
      expectAgreement(joined(dy, ...actual), joined(dy, ...expected), { op: 'transcendental' });
    }),
  );
});

test('a unit gives the same wherever in a vector it stands', async () => {
  const [rows, units] = [70, 101];
  const inputs = lstmInputs(rows, units, 3);
  const one = async (unit: number) => {
    const gates = {
      ...inputs.gates,
      shape: [1, 4],
      data: Float32Array.from([0, 1, 2, 3], (k) => inputs.gates.data[k * units + unit]),
    };
    const cell = { ...inputs.cell, shape: [1, 1], data: inputs.cell.data.slice(unit, unit + 1) };
    return (await runKernelForAll(ours, { kernel: 'LSTMCell', inputs: { gates, cell } }))[0];
  };
  const [{ data }] = await runKernelForAll(ours, { kernel: 'LSTMCell', inputs });
  for (const unit of [0, 1, 2, 3, 99, 100]) {
    const expected = Float32Array.of(data[unit] as number, data[units + unit] as number);
    expectSame(
      await one(unit),
      { dtype: 'float32', shape: [1, 2], data: expected },
      { op: 'transcendental' },
    );
  }
});

test('a recorded step differentiates through it', async () => {
  const loss = ({ gates, cell }: { gates: Tensor; cell: Tensor }): Tensor => sum(lstmCell(gates, cell));
  const step = (backend: typeof ours) =>
    compile((inputs: { gates: Tensor; cell: Tensor }) => valueAndGrad(loss)(inputs), { backend });
  const [actual, expected] = [step(ours), step(reference)];
  for (let i = 0; i < 4; i++) {
    const inputs = lstmInputs(3, 5, i);
    const [one, other] = [await read(actual(inputs)), await read(expected(inputs))];
    expectAgreement(one.value, other.value, { op: 'transcendental', reduction: 30 });
    expectAgreement(one.grads.gates, other.grads.gates, { op: 'transcendental' });
    expectAgreement(one.grads.cell, other.grads.cell, { op: 'transcendental' });
  }
  expect(actual.explain().mode).toBe('replayed');
});
