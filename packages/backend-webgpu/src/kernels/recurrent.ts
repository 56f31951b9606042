import { linearGroups } from '../graph.js';
import type { Program } from '../program.js';
import { defineKernel, type Kernel } from './kernel.js';
import { WORKGROUP } from './layout.js';

/** What a unit's gates say, and the new cell `next`; `gates` and `cells` are the numbers of these inputs. */
function gatesOf(gates: number, cells: number): string {
  return `
    let i = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
    if (i >= u.size) { return; }
    let row = i / u.units;
    let unit = i % u.units;
    let base = row * 4u * u.units + unit;
    let cell = load${cells}(i);
    let input = sigmoid(load${gates}(base));
    let forget = sigmoid(load${gates}(base + u.units));
    let candidate = hyperbolicTangent(load${gates}(base + 2u * u.units));
    let output = sigmoid(load${gates}(base + 3u * u.units));
    let next = forget * cell + input * candidate;
    let place = row * 2u * u.units + unit;`;
}

// A unit's two results by one invocation, which needs all of its gates for both.
const LSTM_CELL: Program = {
  key: 'lstmCell',
  outputs: ['f32'],
  inputs: ['f32', 'f32'],
  uniforms: ['size: u32', 'units: u32'],
  workgroup: [WORKGROUP, 1, 1],
  stores: true,
  loads: [0, 1],
  body: `
    ${gatesOf(0, 1)}
    store(place, output * hyperbolicTangent(next));
    store(place + u.units, next);`,
};

const LSTM_CELL_GRAD: Program = {
  key: 'lstmCellGrad',
  outputs: ['f32', 'f32'],
  inputs: ['f32', 'f32', 'f32'],
  uniforms: ['size: u32', 'units: u32'],
  workgroup: [WORKGROUP, 1, 1],
  loads: [0, 1, 2],
  body: `
    ${gatesOf(1, 2)}
    let dh = load0(place);
    let bounded = hyperbolicTangent(next);
    let e = load0(place + u.units) + dh * output * (1f - bounded * bounded);
    y0[base] = e * candidate * (input * (1f - input));
    y0[base + u.units] = e * cell * (forget * (1f - forget));
    y0[base + 2u * u.units] = e * input * (1f - candidate * candidate);
    y0[base + 3u * u.units] = dh * bounded * (output * (1f - output));
    y1[i] = e * forget;`,
};

/** The op `LSTMCell` of core: [h | c] from gates [rows, 4·units] before activation and a cell [rows, units]. */
const lstmCell = defineKernel('LSTMCell', ({ inputs: { gates, cell }, gpu }) => {
  const [rows, units] = cell.shape;
  const out = gpu.allocate([rows, 2 * units], 'float32');
  const size = rows * units;
  if (size > 0) gpu.launch(LSTM_CELL, [gates, cell], [out], [size, units], linearGroups(size));
  return out;
});

/** Its gradients with respect to gates and cell. */
const lstmCellGrad = defineKernel('LSTMCellGrad', ({ inputs: { dy, gates, cell }, gpu }) => {
  const [rows, units] = cell.shape;
  const results = [gpu.allocate([rows, 4 * units], 'float32'), gpu.allocate([rows, units], 'float32')];
  const size = rows * units;
  if (size > 0) gpu.launch(LSTM_CELL_GRAD, [dy, gates, cell], results, [size, units], linearGroups(size));
  return results;
});

export const recurrentKernels: readonly Kernel[] = [lstmCell, lstmCellGrad];
