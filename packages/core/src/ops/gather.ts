import { gather, type Tensor, type Tensor1D, type Tensor2D, unsortedSegmentSum } from '@tensorflow/tfjs-core';
import { defineOp, type OpDefinition } from '../op.js';

type Inputs = { readonly table: Tensor; readonly ids: Tensor };

/** Row ids[i] of the table, for each i: see `gatherRows`. The gradient adds dy's rows up by their ids. */
export const gatherRowsDefinition: OpDefinition<Inputs, Record<string, never>> = {
  name: 'GatherRows',
  reference: ({ table, ids }) => gather(table, ids as Tensor1D),
  gradient: (dy, { inputs: { table, ids } }) => ({
    // That of tfjs's gather is the same between two transpositions that change nothing.
    table: unsortedSegmentSum(dy as Tensor2D, ids as Tensor1D, table.shape[0] as number),
  }),
};

const gatherRowsOp = defineOp(gatherRowsDefinition);

/**
 * Rows of a table: y[i] = table[ids[i]]. table: float32 [rows, width]; ids: int32 [n], from 0 to rows − 1; y: [n, width].
 * What an id out of range does is the backend's: tfjs-backend-cpu throws, a step that is replayed can't.
 */
export function gatherRows(table: Tensor2D, ids: Tensor1D): Tensor2D {
  return gatherRowsOp({ table, ids }, {}) as Tensor2D;
}
