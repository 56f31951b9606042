import {
  type Backend,
  checkInput,
  compile,
  type Feed,
  formatSpec,
  type Key,
  type Loss,
  type ModelArtifact,
  type NdArray,
  type Params,
  preprocess,
  read,
  reshaped,
  sizeOf,
  TenonError,
  type Tree,
  treeEntries,
  unknownName,
  zeros,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { countOf, inParts } from './examples.js';
import type { LayerOutput, Outline } from './outline.js';
import {
  type AnyLoss,
  type BatchTensors,
  compileActivations,
  compileAttention,
  compileGradCam,
  compileGradients,
  compileLosses,
  compileSaliency,
  forwardOf,
  outliner,
} from './passes.js';
import { type ClassTarget, checkDifferentiable, classesOf, largest, oneHot } from './targets.js';
import { holdWeights, type Weights } from './weights.js';

/** Examples with their targets, as a loss takes them. */
export interface ExplainedBatch {
  /** Raw: preprocessing is applied here. */
  readonly input: Tree<NdArray>;
  readonly target: Tree<NdArray>;
  /** float32: how much each example counts (or each position: [batch, time]). */
  readonly weight?: NdArray;
}

export interface SaliencyOptions {
  /** The class, or one for each example; by default the one that the model predicts. */
  readonly target?: ClassTarget;
}

export interface GradCamOptions extends SaliencyOptions {
  /** Whose output; by default the last layer's that gives images of more than one pixel. */
  readonly path?: string;
}

export interface FeaturesOptions {
  /** Whose output; by default what the last layer takes. */
  readonly path?: string;
}

export interface GradientsOptions {
  /** With a key as in a step of training, which draws from it; without one as in evaluation. */
  readonly key?: Key;
}

/**
 * A model that can be looked into. Inputs are raw, as for `predict`; of one or many examples, which are computed some at a
 * time. All but `gradients` compute in evaluation mode, so that an example's result doesn't depend on those beside it.
 *
 * Throws `SHAPE_MISMATCH` for an input that isn't the model's, `INVALID_ARGUMENT` for one of no examples, `UNKNOWN_NAME`
 * for a path at which nothing is shown, and `TENSOR_CONSUMED` once disposed.
 */
export interface Explainer {
  /** The outputs for raw inputs, as `Model.predict` gives them, by the weights that are explained; of one output. */
  predict(input: Tree<NdArray>): Promise<NdArray>;
  /** What can be looked at: every output inside the network, in the order in which they are made. */
  layers(input: Tree<NdArray>): Promise<readonly LayerOutput[]>;
  /** Outputs inside the network, by path. Each set of paths is compiled once. */
  activations(input: Tree<NdArray>, paths: readonly string[]): Promise<{ [path: string]: NdArray }>;
  /**
   * ∂ logit[target] / ∂ x for each element of the preprocessed input x; of its shape. Simonyan et al. 2014, "Deep inside
   * convolutional networks", who show |·|, the maximum over channels.
   *
   * Throws `USAGE` for a model without class logits, or of integers; `LABEL_OUT_OF_RANGE`; `NOT_FINITE` where there is no
   * prediction to explain.
   */
  saliency(input: Tree<NdArray>, options?: SaliencyOptions): Promise<NdArray<'float32'>>;
  /**
   * Where in the image a class was seen: ReLU(Σ_k α_k · A_k) with the channels A_k of an output [batch, height, width,
   * channels] and α_k = mean over the pixels of ∂ logit[target] / ∂ A_k. float32 [batch, height, width], at the size of that
   * output and not scaled. Selvaraju et al. 2017, "Grad-CAM".
   *
   * Throws as `saliency`, `USAGE` for a network that has no such output, `SHAPE_MISMATCH` for a path of another rank.
   */
  gradCam(input: Tree<NdArray>, options?: GradCamOptions): Promise<NdArray<'float32'>>;
  /**
   * The weights of every attention, by the path of its layer: softmax(Q·Kᵀ/√d [+ mask]), float32 [batch, heads, queries,
   * keys], rows summing to 1. An attention is what taps a `query` and a `key`, as `multiHeadAttention` does; nothing comes
   * back for a network without any. The mask is that of the layer's option `causal`.
   */
  attention(input: Tree<NdArray>): Promise<{ [path: string]: NdArray<'float32'> }>;
  /** One output inside the network as a vector for each example, [batch, size]: what `nearest` compares. */
  features(input: Tree<NdArray>, options?: FeaturesOptions): Promise<NdArray>;
  /**
   * The gradient of the weighted mean loss, and of what the layers add to it, with respect to every parameter, by path. The
   * batch is computed at once. Compiled once for each loss: pass the same value.
   */
  gradients<Out extends Tree<Tensor>, Target extends Tree<Tensor>>(
    batch: ExplainedBatch,
    loss: Loss<Out, Target>,
    options?: GradientsOptions,
  ): Promise<{ [path: string]: NdArray<'float32'> }>;
  /**
   * The loss of each example, float32 [batch]: Σ values·w / Σ w over its elements, with w of the loss and of the batch; 0
   * where Σ w is 0. Compiled once for each loss: pass the same value.
   */
  losses<Out extends Tree<Tensor>, Target extends Tree<Tensor>>(
    batch: ExplainedBatch,
    loss: Loss<Out, Target>,
  ): Promise<NdArray<'float32'>>;
  /**
   * Other weights of the same network, while it trains: nothing is compiled anew. Calls under way end with the weights that
   * they began with. Throws `STRUCTURE_MISMATCH`, `SHAPE_MISMATCH` or `DTYPE_MISMATCH` for another network's, and keeps
   * what it had.
   */
  update(params: Params<NdArray>, state: Params<NdArray>): void;
  /** Frees the weights on the backend. */
  dispose(): void;
}

type HostBatch = { readonly input: Tree<NdArray>; readonly target: Tree<NdArray>; readonly weight?: NdArray };

/** A model to be looked into: its weights are put on the backend, which is started. See `readModel`, `trainer.artifact`. */
export async function openExplainer(artifact: ModelArtifact, backend: Backend): Promise<Explainer> {
  await backend.init();
  const held = holdWeights(artifact, backend);
  const { layer } = artifact;
  const forward = forwardOf(layer);
  const outputs = compile((weights: Weights, input: Tree<Tensor>) => [forward(weights, input) as Tensor], {
    backend,
    name: 'outputs',
  });
  const saliency = compileSaliency(layer, backend);
  const attention = compileAttention(layer, backend);
  const activations = memoized((key: string) => compileActivations(layer, JSON.parse(key), backend));
  const gradCams = memoized((path: string) => compileGradCam(layer, path, backend));
  const gradients = memoizedByLoss((loss) => compileGradients(layer, loss, backend));
  const losses = memoizedByLoss((loss) => compileLosses(layer, loss, backend));
  const outline = outliner(layer, backend);

  const prepare = (raw: Tree<NdArray>): Tree<NdArray> => {
    const input = preprocess(artifact, raw);
    checkInput(input, artifact.input);
    countOf(input);
    return input;
  };
  const prepareBatch = ({ input: raw, target, weight }: ExplainedBatch, loss: AnyLoss): HostBatch => {
    loss.check?.(target as never, artifact.output as never);
    return { input: prepare(raw), target, ...(weight && { weight }) };
  };
  /** The input with a row for each example that is 1 at the class to be explained. */
  const score = async (weights: Weights, raw: Tree<NdArray>, { target }: SaliencyOptions, where: string) => {
    const classes = classesOf(artifact, where);
    const input = prepare(raw);
    checkDifferentiable(input, where);
    const classOf = async (): Promise<number[]> => {
      const [values] = await inParts(input, (part) => read(outputs(weights, part)));
      return largest(values, where);
    };
    return { input, target: oneHot(target ?? (await classOf()), input.shape[0], classes, where) };
  };
  const activationsOf = (
    weights: Weights,
    input: Tree<NdArray>,
    paths: readonly string[],
  ): Promise<readonly NdArray[]> => {
    const call = activations(JSON.stringify(paths));
    return inParts(input, (part) => read(call(weights, part)));
  };

  return Object.freeze<Explainer>({
    predict: (raw) =>
      held.use(async (weights) => {
        const [values] = await inParts(prepare(raw), (part) => read(outputs(weights, part)));
        return values;
      }),
    layers: (raw) => held.use(async (weights) => outline(weights, prepare(raw)).outputs),
    activations: (raw, paths) =>
      held.use(async (weights) => {
        const once = [...new Set(paths)];
        const arrays = await activationsOf(weights, prepare(raw), once);
        return Object.fromEntries(once.map((path, i) => [path, arrays[i]]));
      }),
    saliency: (raw, options = {}) =>
      held.use(async (weights) => {
        const batch = await score(weights, raw, options, 'saliency');
        const [result] = await inParts(batch, async (part) => [await read(saliency(weights, part))]);
        return result as NdArray<'float32'>;
      }),
    gradCam: (raw, options = {}) =>
      held.use(async (weights) => {
        const batch = await score(weights, raw, options, 'gradCam');
        const { path, channels } = imageOutput(outline(weights, batch.input), options.path);
        const call = gradCams(path);
        const [result] = await inParts(batch, async (part) => {
          const shift = zeros([part.input.shape[0], 1, 1, channels]);
          return [await read(call(weights, part, shift))];
        });
        return result as NdArray<'float32'>;
      }),
    attention: (raw) =>
      held.use(async (weights) => {
        const input = prepare(raw);
        const { attentions } = outline(weights, input);
        if (attentions.length === 0) return {};
        const arrays = await inParts(input, (part) => read(attention(weights, part)));
        return Object.fromEntries(attentions.map(({ path }, i) => [path, arrays[i] as NdArray<'float32'>]));
      }),
    features: (raw, options = {}) =>
      held.use(async (weights) => {
        const input = prepare(raw);
        const path = options.path ?? outline(weights, input).beforeLast;
        if (path === undefined) throw noFeatures();
        const [values] = await activationsOf(weights, input, [path]);
        const count = values.shape[0];
        return reshaped(values, [count, sizeOf(values.shape) / count]);
      }),
    gradients: (batch, loss, { key } = {}) =>
      held.use(async (weights) => {
        const prepared = prepareBatch(batch, loss as unknown as AnyLoss);
        const call = gradients(loss as unknown as AnyLoss);
        const grads = await read(
          call(weights, prepared as Feed<BatchTensors>, key ? { key: key.toNdArray() } : {}),
        );
        return Object.fromEntries(treeEntries<NdArray>(grads as Params<NdArray>)) as {
          [path: string]: NdArray<'float32'>;
        };
      }),
    losses: (batch, loss) =>
      held.use(async (weights) => {
        const prepared = prepareBatch(batch, loss as unknown as AnyLoss);
        const call = losses(loss as unknown as AnyLoss);
        const [weighted, total] = await inParts(prepared, (part) =>
          read(call(weights, part as Feed<BatchTensors>)),
        );
        const quotients = Float32Array.from(weighted.data as Float32Array, (value, i) =>
          Number(total.data[i]) === 0 ? 0 : value / Number(total.data[i]),
        );
        return { dtype: 'float32', shape: weighted.shape, data: quotients };
      }),
    update: held.replace,
    dispose: held.dispose,
  });
}

/** The output that Grad-CAM is made of. */
function imageOutput(
  { outputs }: Outline,
  path: string | undefined,
): { readonly path: string; readonly channels: number } {
  const isImage = ({ shape, dtype }: LayerOutput): boolean => shape.length === 4 && dtype === 'float32';
  const found =
    path === undefined
      ? outputs.findLast(
          (output) =>
            output.layer !== undefined &&
            isImage(output) &&
            Number(output.shape[1]) * Number(output.shape[2]) > 1,
        )
      : outputs.find((output) => output.path === path);
  if (found && isImage(found)) return { path: found.path, channels: Number(found.shape[3]) };
  if (found) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: `gradCam, ${found.path}`,
      expected: 'an output float32 [batch, height, width, channels]',
      got: formatSpec(found),
    });
  }
  if (path !== undefined) {
    const paths = outputs.map((output) => output.path);
    throw unknownName('output', path, paths, 'gradCam');
  }
  throw new TenonError({
    code: 'USAGE',
    where: 'gradCam',
    expected: 'a network with a layer that gives images [batch, height, width, channels]',
    got: 'one without',
    hint: 'saliency() explains networks of any kind.',
  });
}

function noFeatures(): TenonError {
  return new TenonError({
    code: 'USAGE',
    where: 'features',
    expected: 'a network of several layers',
    got: 'one that shows nothing on the way',
    hint: 'Put its layer into a sequential().',
  });
}

function memoized<V>(make: (key: string) => V): (key: string) => V {
  const known = new Map<string, V>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}

function memoizedByLoss<V>(make: (loss: AnyLoss) => V): (loss: AnyLoss) => V {
  const known = new WeakMap<AnyLoss, V>();
  return (loss) => {
    const value = known.get(loss) ?? make(loss);
    known.set(loss, value);
    return value;
  };
}
