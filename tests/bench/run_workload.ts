import {
  type AnyLayer,
  type Backend,
  compile,
  createContext,
  createKey,
  type Explanation,
  type NdArray,
  type Params,
  type Precision,
  read,
  release,
  scalar,
  scalars,
  upload,
} from '@tenon-ml/core';
import { adam } from '@tenon-ml/optimizers';
import { matMul, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { scaleFactors } from '../../packages/train/src/loss_scaling.js';
import { type Carry, compileTrainStep } from '../../packages/train/src/step.js';
import type { InferenceWorkload, Product, ProductWorkload, TrainingWorkload, Workload } from './workload.js';

/** A workload on one of our backends, ready to run. */
export interface Running {
  /** One step; gives the loss where there is one. */
  step(): Promise<number | undefined>;
  explain(): Explanation;
  dispose(): void;
}

/** The same for training, whose parameters, states and moments can be read. */
export interface Training extends Running {
  step(): Promise<number>;
  read(): Promise<Params<NdArray>>;
}

/**
 * So small that a network that sees one batch a thousand times doesn't learn it by heart: its gradients would fall
 * into the denormal numbers, on which processors are slow, and the figures would tell of that.
 */
export const benchLearningRate = 1e-5;

/**
 * Starts a workload at a batch size (training, inference) or a size of matrices (products), on a started backend. The case
 * 'mixed' is in mixed precision.
 */
export function startWorkload(
  workload: Workload,
  unit: { readonly batch: number; readonly case: string },
  backend: Backend,
): Running {
  const precision = unit.case === 'mixed' ? 'mixed-float16' : 'float32';
  if (workload.kind === 'training') return startTraining(workload, unit.batch, backend, { precision });
  if (workload.kind === 'inference') return startInference(workload, unit.batch, backend, precision);
  return startProduct(findProduct(workload, unit.case), backend);
}

/**
 * Training as a trainer does it: its own compiled step, a batch that comes from the host, rates and a key that change
 * with the step, and a loss that is read after each step. `batches` is how many batches take turns. In mixed precision the
 * loss is scaled.
 */
export function startTraining(
  workload: TrainingWorkload,
  batch: number,
  backend: Backend,
  options: { readonly learningRate?: number; readonly batches?: number; readonly precision?: Precision } = {},
): Training {
  const { model, loss } = workload;
  const { learningRate = benchLearningRate, batches = 1, precision = 'float32' } = options;
  const key = createKey(1);
  const data = Array.from({ length: batches }, (_, i) => workload.data(key.foldIn('data').foldIn(i), batch));
  const optimizer = adam({ learningRate });
  const step = compileTrainStep({ model, loss, optimizer, metrics: [], backend, precision });
  const { params, state } = model.init(key.foldIn('params'), workload.input);
  let carry: Carry = {
    ...upload({ params, state, optimizer: optimizer.init(params) }, backend),
    halted: upload(scalar(0), backend),
  };
  let count = 0;
  return {
    async step() {
      const control = {
        scalars: scalars({ ...optimizer.scalars(count) }),
        key: key.foldIn('step').foldIn(count).toNdArray(),
        ...(precision !== 'float32' && {
          lossScale: scaleFactors({ scale: 2 ** 16, streak: 0, skipped: 0 }),
        }),
      };
      const result = step(carry, data[count % batches], control);
      count++;
      carry = result.carry;
      return Number((await read(result.seen)).loss.data[0]);
    },
    read: () =>
      read({ params: carry.params, state: carry.state, optimizer: carry.optimizer }, { keep: true }),
    explain: step.explain,
    dispose: () => release(carry),
  };
}

/** Prediction as a loaded model does it: weights on the backend, a batch from the host, logits read. */
function startInference(
  workload: InferenceWorkload,
  batch: number,
  backend: Backend,
  precision: Precision,
): Running {
  const key = createKey(1);
  const model: AnyLayer = workload.model;
  const initial = model.init(key.foldIn('params'), workload.input);
  const weights = upload({ params: initial.params, state: initial.state }, backend);
  const input = workload.data(key.foldIn('data'), batch);
  const forward = compile(
    (params: Params<Tensor>, state: Params<Tensor>, images: Tensor) =>
      model.apply(params, state, images, createContext({ training: false })).output as Tensor,
    { backend, precision, name: 'predict' },
  );
  return {
    async step() {
      await read(forward(weights.params, weights.state, input));
      return undefined;
    },
    explain: forward.explain,
    dispose: () => release(weights),
  };
}

function startProduct({ rows, inner, columns }: Product, backend: Backend): Running {
  const key = createKey(1);
  const operands = upload(
    {
      left: key.foldIn('left').normal([rows, inner]),
      right: key.foldIn('right').normal([inner, columns]),
    },
    backend,
  );
  const product = compile((left: Tensor, right: Tensor) => matMul(left as Tensor2D, right as Tensor2D), {
    backend,
    name: 'product',
  });
  return {
    async step() {
      release(product(operands.left, operands.right));
      return undefined;
    },
    explain: product.explain,
    dispose: () => release(operands),
  };
}

function findProduct(workload: ProductWorkload, name: string): Product {
  const found = workload.products.find((product) => product.case === name);
  if (!found) throw new Error(`${workload.name} has no product ${name}.`);
  return found;
}
