import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { defineKernel, type Kernel } from './kernel.js';

/** Rows that make a part: some 20 µs, at five functions of 4 ns for each unit. */
function rowsOf(units: number): number {
  return Math.max(1, Math.floor(1024 / Math.max(1, units)));
}

/** Whether it is float32 of this shape. */
function is({ dtype, shape }: TensorInfo, expected: number[]): boolean {
  return dtype === 'float32' && util.arraysEqual(shape, expected);
}

/** The op `LSTMCell` of core: [h | c] from gates [rows, 4·units] before activation and a cell [rows, units]. */
const lstmCell = defineKernel('LSTMCell', ({ inputs: { gates, cell }, engine }) => {
  const [rows, units] = cell.shape;
  if (!is(gates, [rows, 4 * units]) || !is(cell, [rows, units])) return undefined;
  const out = engine.allocate([rows, 2 * units], 'float32');
  const perPart = rowsOf(units);
  engine.launch(
    'lstmCell',
    Math.ceil(rows / perPart),
    [engine.block(gates), engine.block(cell)],
    [engine.block(out)],
    [rows, units, perPart],
  );
  return out;
});

/** Its gradients with respect to gates and cell. */
const lstmCellGrad = defineKernel('LSTMCellGrad', ({ inputs: { dy, gates, cell }, engine }) => {
  const [rows, units] = cell.shape;
  if (!is(dy, [rows, 2 * units]) || !is(gates, [rows, 4 * units]) || !is(cell, [rows, units]))
    return undefined;
  const dgates = engine.allocate([rows, 4 * units], 'float32');
  const dcell = engine.allocate([rows, units], 'float32');
  const perPart = rowsOf(units);
  engine.launch(
    'lstmCellGrad',
    Math.ceil(rows / perPart),
    [engine.block(dy), engine.block(gates), engine.block(cell)],
    [engine.block(dgates), engine.block(dcell)],
    [rows, units, perPart],
  );
  return [dgates, dcell];
});

export const recurrentKernels: readonly Kernel[] = [lstmCell, lstmCellGrad];
