import {
  type AnyLayer,
  createKey,
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
  const key = createKey(0);
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
      rows.push({ path: at, layer: spec.layer, output, params: 0, state: 0 });
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
    });
    return output;
  };

  visit(layer as unknown as AnyLayer, '', input as unknown as Specs<Tree<Tensor>>);
  return rows;
}

function countOf(tree: Host<Params<Leaf>>): number {
  return treeLeaves<NdArray>(tree as Tree<NdArray>).reduce((count, { shape }) => count + sizeOf(shape), 0);
}
