import { add, concat, mul, sigmoid, slice, square, sub, type Tensor, tanh } from '@tensorflow/tfjs-core';
import { defineOp, definePrimitive, type OpDefinition, type PrimitiveDefinition } from '../op.js';

type Inputs = { readonly gates: Tensor; readonly cell: Tensor };
type None = Record<string, never>;

/** The `index`-th block of `units` columns. */
function columns(x: Tensor, index: number, units: number): Tensor {
  return slice(x, [0, index * units], [x.shape[0] as number, units]);
}

/** The gates' activations, and the new cell c = f·cell + i·g. */
function gatesOf(gates: Tensor, cell: Tensor) {
  const units = cell.shape[1] as number;
  const input = sigmoid(columns(gates, 0, units));
  const forget = sigmoid(columns(gates, 1, units));
  const candidate = tanh(columns(gates, 2, units));
  const output = sigmoid(columns(gates, 3, units));
  return { units, input, forget, candidate, output, next: add(mul(forget, cell), mul(input, candidate)) };
}

/** y · (1 − y): the slope of a sigmoid whose value is y. */
function sigmoidSlope(y: Tensor): Tensor {
  return mul(y, sub(1, y));
}

/**
 * The gradient of `LSTMCell`: with dh and dc the halves of dy, t = tanh(c), and e = dc + dh·o·(1 − t²),
 *
 *   dgates = [e·g·i·(1 − i) | e·cell·f·(1 − f) | e·i·(1 − g²) | dh·t·o·(1 − o)],   dcell = e·f.
 */
export const lstmCellGradDefinition: PrimitiveDefinition<Inputs & { readonly dy: Tensor }, None> = {
  name: 'LSTMCellGrad',
  reference({ dy, gates, cell }) {
    const { units, input, forget, candidate, output, next } = gatesOf(gates, cell);
    const dh = columns(dy, 0, units);
    const bounded = tanh(next);
    const e = add(columns(dy, 1, units), mul(mul(dh, output), sub(1, square(bounded))));
    const dgates = concat(
      [
        mul(mul(e, candidate), sigmoidSlope(input)),
        mul(mul(e, cell), sigmoidSlope(forget)),
        mul(mul(e, input), sub(1, square(candidate))),
        mul(mul(dh, bounded), sigmoidSlope(output)),
      ],
      1,
    );
    return [dgates, mul(e, forget)];
  },
};

const lstmCellGrad = definePrimitive(lstmCellGradDefinition);

/** One step of an LSTM: see `lstmCell`. */
export const lstmCellDefinition: OpDefinition<Inputs, None> = {
  name: 'LSTMCell',
  reference({ gates, cell }) {
    const { output, next } = gatesOf(gates, cell);
    return concat([mul(output, tanh(next)), next], 1);
  },
  gradient(dy, { inputs: { gates, cell } }) {
    const [dgates, dcell] = lstmCellGrad({ dy, gates, cell }, {});
    return { gates: dgates, cell: dcell };
  },
};

const lstmCellOp = defineOp(lstmCellDefinition);

/**
 * One step of an LSTM from its gates before activation, gates = [i | f | g | o] (PyTorch's order, and Keras's):
 *
 *   c = σ(f)·cell + σ(i)·tanh(g),   h = σ(o)·tanh(c).
 *
 * gates: float32 [batch, 4·units]; cell: [batch, units]; the result is [batch, 2·units] = [h | c].
 *
 * Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate: Gers et al. 2000, "Learning to forget".
 */
export function lstmCell(gates: Tensor, cell: Tensor): Tensor {
  return lstmCellOp({ gates, cell }, {});
}
