import {
  type AnyLayer,
  attentionWeights,
  type Backend,
  broadcastLeft,
  compile,
  createContext,
  type Loss,
  type NdArray,
  type Params,
  release,
  rows,
  type Tree,
  treeLeaves,
  treeMap,
  unknownName,
  valueAndGrad,
  weightedMean,
} from '@tenon-ml/core';
import { add, mul, relu, reshape, sum, type Tensor } from '@tensorflow/tfjs-core';
import { type Observer, observing } from './observing.js';
import { type Outline, outlineOf } from './outline.js';
import type { Weights } from './weights.js';

/** A loss whose types are not known further. */
export type AnyLoss = Loss<Tree<Tensor>, Tree<Tensor>>;
/** Examples with their targets. */
export type BatchTensors = {
  readonly input: Tree<Tensor>;
  readonly target: Tree<Tensor>;
  readonly weight?: Tensor;
};
/** Examples with a row for each that is 1 at the class to be explained, 0 elsewhere. */
export type Scored = { readonly input: Tensor; readonly target: Tensor };
/** The network in evaluation mode, with somebody who looks. */
export function forwardOf(layer: AnyLayer) {
  return ({ params, state }: Weights, input: Tree<Tensor>, observer?: Observer): Tree<Tensor> => {
    const options = observer ? { training: false, onTap: observing(observer) } : { training: false };
    return layer.apply(params, state, input, createContext(options)).output;
  };
}

/** What a network shows, by the shapes of its input; one example of each kind is run, once. */
export function outliner(
  layer: AnyLayer,
  backend: Backend,
): (weights: Weights, input: Tree<NdArray>) => Outline {
  const forward = forwardOf(layer);
  const known = new Map<string, Outline>();
  let seen: Outline | undefined;
  const look = compile(
    (weights: Weights, input: Tree<Tensor>) => {
      const shown: [string, Tensor][] = [];
      const output = forward(weights, input, (path, tensor) => void shown.push([path, tensor]));
      seen = outlineOf(layer, shown, output);
      return output;
    },
    { backend, name: 'layers' },
  );
  return (weights, input) => {
    const example = treeMap<NdArray, NdArray>(input, (array) => rows(array, 0, 1));
    const key = JSON.stringify(treeLeaves<NdArray>(example).map(({ shape }) => shape));
    let outline = known.get(key);
    if (!outline) {
      release(look(weights, example));
      outline = seen as Outline;
      known.set(key, outline);
    }
    return outline;
  };
}

export function compileActivations(layer: AnyLayer, paths: readonly string[], backend: Backend) {
  const forward = forwardOf(layer);
  return compile(
    (weights: Weights, input: Tree<Tensor>) => {
      const shown = new Map<string, Tensor>();
      forward(weights, input, (path, tensor) => void shown.set(path, tensor));
      return paths.map((path) => {
        const tensor = shown.get(path);
        if (tensor) return tensor;
        throw unknownName('output', path, [...shown.keys()], 'activations');
      });
    },
    { backend, name: 'activations' },
  );
}

export function compileSaliency(layer: AnyLayer, backend: Backend) {
  const forward = forwardOf(layer);
  return compile(
    (weights: Weights, { input, target }: Scored) =>
      // Examples don't touch each other in evaluation: the gradient of the sum is that of each one's own score.
      valueAndGrad((x: Tensor) => sum(mul(forward(weights, x) as Tensor, target)))(input).grads,
    { backend, name: 'saliency' },
  );
}

export function compileGradCam(layer: AnyLayer, wanted: string, backend: Backend) {
  const forward = forwardOf(layer);
  return compile(
    (weights: Weights, { input, target }: Scored, shift: Tensor) => {
      const { grads, aux } = valueAndGrad(
        (zero: Tensor) => {
          let shown: Tensor | undefined;
          const output = forward(weights, input, (path, tensor) => {
            if (path !== wanted) return undefined;
            shown = tensor;
            return add(tensor, zero);
          });
          return [sum(mul(output as Tensor, target)), shown as Tensor] as const;
        },
        { aux: true },
      )(shift);
      // One zero for all pixels of a channel has the sum of their gradients as its own.
      const [, height, width] = aux.shape;
      return relu(sum(mul(aux, mul(grads, 1 / (height * width))), 3));
    },
    { backend, name: 'gradCam' },
  );
}

export function compileAttention(layer: AnyLayer, backend: Backend) {
  const forward = forwardOf(layer);
  return compile(
    (weights: Weights, input: Tree<Tensor>) => {
      const shown = new Map<string, Tensor>();
      const output = forward(weights, input, (path, tensor) => void shown.set(path, tensor));
      return outlineOf(layer, [...shown], output).attentions.map(({ query, key, causal }) =>
        attentionWeights(shown.get(query) as Tensor, shown.get(key) as Tensor, { causal }),
      );
    },
    { backend, name: 'attention' },
  );
}

export function compileGradients(layer: AnyLayer, loss: AnyLoss, backend: Backend) {
  return compile(
    ({ params, state }: Weights, { input, target, weight }: BatchTensors, control: { key?: Tensor }) => {
      const context = createContext({ training: control.key !== undefined, ...control });
      return valueAndGrad((given: Params<Tensor>) => {
        const { output, losses = [] } = layer.apply(given, state, input, context);
        const mean = weightedMean(loss(output, target), weight);
        return losses.reduce((total, penalty) => add(total, penalty), mean);
      })(params).grads;
    },
    { backend, name: 'gradients' },
  );
}

export function compileLosses(layer: AnyLayer, loss: AnyLoss, backend: Backend) {
  const forward = forwardOf(layer);
  return compile(
    (weights: Weights, { input, target, weight }: BatchTensors) => {
      const { values, weights: own } = loss(forward(weights, input), target);
      const combined = weight ? mul<Tensor>(own, broadcastLeft(weight, own.shape)) : own;
      const ofEach = (x: Tensor): Tensor => sum(reshape(x, [x.shape[0], -1]), 1);
      return [ofEach(mul(values, combined)), ofEach(combined)];
    },
    { backend, name: 'losses' },
  );
}
