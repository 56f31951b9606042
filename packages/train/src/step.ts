import {
  type AnyLayer,
  allFinite,
  type Backend,
  type Compiled,
  choose,
  compile,
  createContext,
  type Loss,
  type Metric,
  type Optimizer,
  type Params,
  type Precision,
  type Tree,
  treeLeaves,
  treeMap,
  treeZip,
  valueAndGrad,
  weightedMean,
  weightedSums,
} from '@tenon-ml/core';
import { add, equal, logicalAnd, mul, ones, scalar, type Tensor } from '@tensorflow/tfjs-core';

/** What one step hands to the next. */
export type Carry = {
  readonly params: Params<Tensor>;
  readonly state: Params<Tensor>;
  readonly optimizer: Params<Tensor>;
  /** float32 scalar: 1 once a step wasn't finite; nothing changes from then on, until the host sets it back. */
  readonly halted: Tensor;
};

export type BatchTensors = {
  readonly input: Tree<Tensor>;
  readonly target: Tree<Tensor>;
  readonly weight?: Tensor;
};

/** What changes from step to step. */
export type Control = {
  readonly scalars: { readonly [name: string]: Tensor };
  readonly key: Tensor;
  /** S and 1/S, where the loss is scaled. */
  readonly lossScale?: { readonly scale: Tensor; readonly inverse: Tensor };
};

/** What the host reads of a step. `weighted` / `total` is the loss of the data, without regularisation. */
export type Seen = {
  readonly loss: Tensor;
  readonly weighted: Tensor;
  readonly total: Tensor;
  readonly halted: Tensor;
  readonly observed: readonly Tree<Tensor>[];
};

/** The parts of a trainer that its compiled functions are made of. */
export interface StepParts {
  readonly model: AnyLayer;
  readonly loss: Loss<Tree<Tensor>, Tree<Tensor>>;
  readonly optimizer: Optimizer;
  readonly metrics: readonly Metric[];
  readonly backend: Backend;
  readonly precision?: Precision;
}

/**
 * One step of training: forward, loss, backward, update, metrics. Where the loss or a gradient isn't finite, the old
 * parameters and states come back instead of the new ones, and `halted` is set.
 *
 * With a loss scale S, gradients are those of S · loss: they are looked at as they come, then multiplied by 1/S.
 */
export function compileTrainStep(
  parts: StepParts,
): Compiled<[Carry, BatchTensors, Control], { carry: Carry; seen: Seen }> {
  const { model, loss, optimizer, metrics, backend, precision } = parts;
  return compile(
    function trainStep(carry: Carry, batch: BatchTensors, control: Control) {
      const context = createContext({ training: true, key: control.key });
      const { lossScale } = control;
      const { value, aux, grads } = valueAndGrad(
        (params: Params<Tensor>) => {
          const { output, state, losses = [] } = model.apply(params, carry.state, batch.input, context);
          const values = loss(output, batch.target);
          const total = losses.reduce(
            (sumSoFar, penalty) => add(sumSoFar, penalty),
            weightedMean(values, batch.weight),
          );
          const unscaled: Tensor[] = lossScale ? [total] : [];
          return [
            lossScale ? mul(total, lossScale.scale) : total,
            {
              state,
              ...weightedSums(values, batch.weight),
              observed: observe(metrics, output, batch),
              unscaled,
            },
          ] as const;
        },
        { aux: true },
      )(carry.params);
      const { state, weighted, total, observed } = aux;
      const [lossValue = value] = aux.unscaled;
      const unscaledGrads = lossScale
        ? (treeMap<Tensor, Tensor>(grads, (grad) => mul(grad, lossScale.inverse)) as Params<Tensor>)
        : grads;
      const updated = optimizer.update(unscaledGrads, carry.optimizer, carry.params, control.scalars);

      // The loss and all gradients are finite, and no step before was not.
      const finite = allFinite([lossValue, ...treeLeaves<Tensor>(grads)]);
      const sound = logicalAnd(finite, equal(carry.halted, 0));
      const ifSound = <T extends Tree<Tensor>>(fresh: T, old: T): T => select(sound, fresh, old);
      const halted = choose(sound, scalar(0), scalar(1));
      return {
        carry: {
          params: ifSound(updated.params, carry.params),
          state: ifSound(state, carry.state),
          optimizer: ifSound(updated.state, carry.optimizer),
          halted,
        },
        seen: { loss: lossValue, weighted, total, halted, observed },
      };
    },
    { backend, precision, donate: [0], name: 'train step' },
  );
}

/** The loss and the metrics of a batch, without training. */
export function compileEvaluationStep(
  parts: Omit<StepParts, 'optimizer'>,
): Compiled<[Params<Tensor>, Params<Tensor>, BatchTensors], Pick<Seen, 'weighted' | 'total' | 'observed'>> {
  const { model, loss, metrics, backend, precision } = parts;
  return compile(
    function evaluationStep(params: Params<Tensor>, state: Params<Tensor>, batch: BatchTensors) {
      const { output } = model.apply(params, state, batch.input, createContext({ training: false }));
      return {
        ...weightedSums(loss(output, batch.target), batch.weight),
        observed: observe(metrics, output, batch),
      };
    },
    { backend, precision, name: 'evaluation step' },
  );
}

function observe(metrics: readonly Metric[], output: Tree<Tensor>, batch: BatchTensors): Tree<Tensor>[] {
  if (metrics.length === 0) return [];
  const examples = treeLeaves<Tensor>(batch.input)[0].shape[0];
  const weights = batch.weight ?? ones([examples]);
  return metrics.map((metric) => metric.observe(output as Tensor, batch.target as Tensor, weights));
}

function select<T extends Tree<Tensor>>(condition: Tensor, fresh: T, old: T): T {
  return treeZip<Tensor, Tensor, Tensor>(fresh, old, (a, b) => choose(condition, a, b)) as T;
}
