import {
  type AnyLayer,
  type Key,
  type Layer,
  type Leaf,
  type Loss,
  type Metric,
  type ModelCard,
  type Optimizer,
  type Params,
  type Precision,
  type Registry,
  type Specs,
  TenonError,
  type TensorSpec,
  type Transform,
  type Tree,
  unknownName,
} from '@tenon-ml/core';
import type { Dataset } from '@tenon-ml/data';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch } from './evaluate.js';
import type { LossScaling } from './loss_scaling.js';
import type { EarlyStopping } from './monitor.js';
import type { AnyLoss } from './options.js';

/** What can be set from outside, with its defaults: `{ epochs: 30, learningRate: 1e-3 }`. */
export type ExperimentOptions = { readonly [name: string]: number | string | boolean };

/** Options as an experiment gets them: of the types of their defaults, whatever their values. */
export type Settings<O extends ExperimentOptions> = {
  readonly [K in keyof O]: O[K] extends boolean ? boolean : O[K] extends number ? number : string;
};

/** What an experiment may lean on when it sets itself up. */
export interface SetupContext {
  readonly seed: number;
  /** The key of everything that the experiment draws by itself: splits, the order of the data. */
  readonly key: Key;
  /** The folder or file of `--data`, where the experiment takes one. */
  readonly data?: string;
  /** Ends what takes long: a download. What it throws then is the signal's reason. */
  readonly signal?: AbortSignal;
  /** Tells whoever waits what takes long. */
  note?(text: string): void;
}

/** A network, what it learns from, and how. The datasets yield batches. */
export interface Plan<
  In extends Tree<Tensor> = Tensor,
  Out extends Tree<Tensor> = Tensor,
  Target extends Tree<Tensor> = Tensor,
> {
  readonly model: Layer<Params<Leaf>, Params<Leaf>, In, Out>;
  readonly loss: Loss<Out, Target>;
  readonly optimizer: Optimizer;
  readonly metrics?: readonly Metric[];
  readonly epochs: number;
  readonly train: Dataset<Batch>;
  /** Chooses the epoch; never trained on. */
  readonly validation?: Dataset<Batch>;
  /** Looked at once, at the end. */
  readonly test?: Dataset<Batch>;
  readonly input?: Specs<In>;
  readonly preprocessing?: readonly Transform[];
  readonly classNames?: readonly string[];
  readonly monitor?: string;
  readonly earlyStopping?: EarlyStopping;
  readonly restoreBest?: boolean;
  /** Checkpoints are written after every epoch, and after so many steps. */
  readonly checkpointEverySteps?: number;
  /** 'float32' by default; see `TrainerOptions`. What `runExperiment` is given goes first. */
  readonly precision?: Precision;
  readonly lossScaling?: LossScaling;
  readonly card?: Omit<ModelCard, 'metrics'>;
}

/** A training that can be named, repeated and resumed. */
export interface Experiment<O extends ExperimentOptions = ExperimentOptions> {
  readonly name: string;
  readonly description: string;
  readonly options: O;
  /** Layers and transforms of one's own, which the saved model needs when it is loaded. */
  readonly registry?: Registry;
  /** The same options and context give the same plan: a resume sets up again. */
  setup(options: Settings<O>, context: SetupContext): Promise<AnyPlan> | AnyPlan;
}

/** What `defineExperiment` takes: an experiment whose plan's parts are known to fit. */
export interface TypedExperiment<
  O extends ExperimentOptions,
  In extends Tree<Tensor>,
  Out extends Tree<Tensor>,
  Target extends Tree<Tensor>,
> extends Omit<Experiment<O>, 'setup'> {
  setup(options: Settings<O>, context: SetupContext): Promise<Plan<In, Out, Target>> | Plan<In, Out, Target>;
}

/** A plan whatever its types: what runs are made of. */
export type AnyPlan = Omit<Plan, 'model' | 'loss' | 'input'> & {
  readonly model: AnyLayer;
  readonly loss: AnyLoss;
  readonly input?: Tree<TensorSpec>;
};

/**
 * An experiment for `tenon train FILE` and `runExperiment`:
 *
 * ```ts
 * export default defineExperiment({
 *   name: 'mine',
 *   description: 'A small network on my data',
 *   options: { epochs: 10, learningRate: 1e-3 },
 *   setup: async (options, { key }) => ({ model, loss, optimizer, epochs: options.epochs, train }),
 * });
 * ```
 */
export function defineExperiment<
  O extends ExperimentOptions,
  In extends Tree<Tensor>,
  Out extends Tree<Tensor>,
  Target extends Tree<Tensor>,
>(experiment: TypedExperiment<O, In, Out, Target>): Experiment<O>;
export function defineExperiment(experiment: Experiment): Experiment {
  return Object.freeze({ ...experiment });
}

/** Whether a value, such as a module's default export, is an experiment. */
export function isExperiment(value: unknown): value is Experiment {
  if (typeof value !== 'object' || value === null) return false;
  const { name, options, setup } = value as Partial<Experiment>;
  const hasOptions = typeof options === 'object' && options !== null;
  return typeof name === 'string' && typeof setup === 'function' && hasOptions;
}

/**
 * An experiment's options with some of them set. Throws `UNKNOWN_NAME` for one that it doesn't have,
 * `INVALID_ARGUMENT` for a value of another type than the default's, and for a number that is not finite.
 */
export function resolveOptions<O extends ExperimentOptions>(
  experiment: Experiment<O>,
  given: ExperimentOptions,
): Settings<O> {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(experiment.options, name)) {
      throw unknownName('option', name, Object.keys(experiment.options), experiment.name);
    }
    const standard = experiment.options[name];
    if (typeof value === typeof standard && (typeof value !== 'number' || Number.isFinite(value))) continue;
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: `${experiment.name}, option ${name}`,
      expected: `a ${typeof standard} such as ${show(standard)}`,
      got: show(value),
    });
  }
  return { ...experiment.options, ...given } as Settings<O>;
}

function show(value: number | string | boolean): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
