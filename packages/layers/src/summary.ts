import {
  type AnyLayer,
  blankKey,
  type Host,
  joinPath,
  type Layer,
  type Leaf,
  type NdArray,
  type Params,
  type Specs,
  sizeOf,
  type TensorSpec,
  type Tree,
  treeLeaves,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { multiplyAddsOf } from './multiply_adds.js';

/** One call of a layer. */
export interface SummaryRow {
  /** Where the layer stands: `stem.conv2d_1`; empty for a model that is one layer. */
  readonly path: string;
  /** Its kind: 'conv2d'. */
  readonly layer: string;
  /** What the call gives. */
  readonly output: Specs<Tree<Tensor>>;
  /** The number of parameters (numbers, not arrays); 0 in further calls of the same layer. */
  readonly params: number;
  /** The number of values of its state, counted likewise. */
  readonly state: number;
  /**
   * The multiply-adds of the call for one example; FLOPs are twice as many. See `multiplyAdds` for what is counted; null
   * where it isn't known: a layer of another package, or a height, width or time that is free.
   */
  readonly multiplyAdds: number | null;
}

/**
 * The layers of a model in the order of their calls, for a table. `sequential` and `residual` are taken apart; a residual
 * has a row of its own, for the sum. Containers of other packages are one row. The columns add up to the model's.
 *
 * Throws what `init` throws for this input.
 */
export function summary<P extends Params<Leaf>, S extends Params<Leaf>>(
  layer: Layer<P, S, Tensor, Tree<Tensor>>,
  input: TensorSpec,
): readonly SummaryRow[] {
  // The shapes are all that is wanted: nothing is drawn.
  const key = blankKey;
  layer.init(key, input);
  const rows: SummaryRow[] = [];
  const counted = new Set<string>();

  const visit = (current: AnyLayer, at: string, given: Specs<Tree<Tensor>>): Specs<Tree<Tensor>> => {
    const { spec, children } = current;
    if (children && spec.layer === 'sequential') {
      return (spec.order as string[]).reduce(
        (value, name) => visit(children[name], joinPath(at, name), value),
        given,
      );
    }
    if (children && spec.layer === 'residual') {
      const output = visit(children.body, joinPath(at, 'body'), given);
      if (children.shortcut) visit(children.shortcut, joinPath(at, 'shortcut'), given);
      rows.push({ path: at, layer: spec.layer, output, params: 0, state: 0, multiplyAdds: 0 });
      return output;
    }
    const { params, state, output } = current.init(key, given, at);
    const first = !counted.has(at);
    counted.add(at);
    rows.push({
      path: at,
      layer: spec.layer,
      output,
      params: first ? countOf(params) : 0,
      state: first ? countOf(state) : 0,
      multiplyAdds: multiplyAddsOf(current, params, given as TensorSpec, output as TensorSpec),
    });
    return output;
  };

  visit(layer as unknown as AnyLayer, '', input as unknown as Specs<Tree<Tensor>>);
  return rows;
}

/**
 * The multiply-adds of a model for one example: the standard measure of what a prediction costs, "MACs"; FLOPs are twice
 * as many. The sum of `summary`'s column, null where one of them is.
 *
 * Counted are products of matrices and convolutions: a kernel's size (as often as it is applied: `dense` at each time,
 * `conv2d` at each place of its output, padding and all), the kernels of `lstm` at each step, of `multiHeadAttention` the
 * projections and both products of its T×T weights (2·T²·width, causal or not), the parts of `feedForward`,
 * `transformerBlock` and `resnetBlock`. Not counted, as in fvcore and most papers: biases, activations, normalization,
 * pooling, dropout, sums, and the lookups of `embedding`.
 *
 * torchvision's resnet18 at 224×224 has 1.814·10⁹ by this count, as fvcore says. A training step costs about three times
 * as many for each example of the batch.
 */
export function multiplyAdds<P extends Params<Leaf>, S extends Params<Leaf>>(
  layer: Layer<P, S, Tensor, Tree<Tensor>>,
  input: TensorSpec,
): number | null {
  return summary(layer, input).reduce<number | null>(
    (sum, row) => (sum === null || row.multiplyAdds === null ? null : sum + row.multiplyAdds),
    0,
  );
}

function countOf(tree: Host<Params<Leaf>>): number {
  return treeLeaves<NdArray>(tree as Tree<NdArray>).reduce((count, { shape }) => count + sizeOf(shape), 0);
}
