import {
  defineLayer,
  geluElements,
  type LayerSpec,
  reluElements,
  type StatelessLayer,
  sigmoidElements,
  type TensorSpec,
  tanhElements,
} from '@tenon-ml/core';
import { softmax as softmaxOf, type Tensor } from '@tensorflow/tfjs-core';
import { frozenLayer } from './frozen.js';
import { checkFloat32, type InputLike, shapeError } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';

/**
 * max(x, 0), element by element, of float32 of any shape; the gradient at 0 is 0, as in PyTorch and Keras. NaN stays
 * NaN. Nair and Hinton 2010. Throws `DTYPE_MISMATCH` for inputs that aren't float32, as all activations do.
 */
export function relu(): StatelessLayer {
  return activationOf('relu', {}, fromCall('relu'));
}

/** 1 / (1 + e^−x), element by element, of float32 of any shape. Finite for every x. */
export function sigmoid(): StatelessLayer {
  return activationOf('sigmoid', {}, fromCall('sigmoid'));
}

/** The hyperbolic tangent, element by element, of float32 of any shape. */
export function tanh(): StatelessLayer {
  return activationOf('tanh', {}, fromCall('tanh'));
}

export interface GeluOptions {
  /** The tanh form, which GPT-2 uses, in the place of the exact one (default false). */
  readonly approximate?: boolean;
}

/**
 * The Gaussian error linear unit, element by element, of float32 of any shape: x · Φ(x) = x/2 · (1 + erf(x/√2)); with
 * `approximate` x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), which is off by at most 5·10⁻⁴.
 *
 * Exact by default, as in PyTorch and Keras; GPT-2 and JAX's `nn.gelu` have the approximation. Hendrycks and Gimpel
 * 2016, "Gaussian error linear units".
 */
export function gelu(options: GeluOptions = {}): StatelessLayer {
  return geluOf({ ...options }, fromCall('gelu'));
}

/**
 * e^x / Σ e^x over the last axis, of float32 [batch, …, classes]; the maximum is subtracted first, so that nothing
 * overflows. Throws `SHAPE_MISMATCH` for inputs of rank 0 or 1.
 *
 * Not before a loss: the losses take logits, and lose digits on probabilities. PyTorch's `Softmax` takes any axis.
 */
export function softmax(): StatelessLayer {
  return activationOf('softmax', {}, fromCall('softmax'));
}

type Activation = 'relu' | 'sigmoid' | 'tanh' | 'softmax';

const functions: { readonly [A in Activation]: (x: Tensor) => Tensor } = {
  relu: reluElements,
  sigmoid: sigmoidElements,
  tanh: tanhElements,
  softmax: (x) => softmaxOf(x),
};

function activationOf(layer: Activation, raw: RawOptions, source: OptionSource): StatelessLayer {
  readOptions(raw, source).end();
  return elementwise({ layer, version: 1 }, functions[layer]);
}

function geluOf(raw: RawOptions, source: OptionSource): StatelessLayer {
  const options = readOptions(raw, source);
  const approximate = options.boolean('approximate', false);
  options.end();
  return elementwise({ layer: 'gelu', version: 1, approximate }, (x) => geluElements(x, approximate));
}

/** A layer that gives f(x), in the shape of x. */
function elementwise(spec: LayerSpec, f: (x: Tensor) => Tensor): StatelessLayer {
  const { layer } = spec;
  const check = (input: InputLike, where: string): void => {
    checkFloat32(input, where);
    if (layer === 'softmax' && input.shape.length < 2) throw shapeError(where, '[batch, …, classes]', input);
  };
  return frozenLayer({
    spec,
    init(_key, input: TensorSpec, path = '') {
      check(input, path || layer);
      return { params: {}, state: {}, output: { dtype: 'float32', shape: [...input.shape] } };
    },
    apply(_params, state, input: Tensor, context) {
      check(input, context.path || layer);
      return { output: f(input), state };
    },
  });
}

const definitionOf = (name: Activation) =>
  defineLayer({
    name,
    version: 1,
    build: (spec, _registry, path) => activationOf(name, specOptions(spec), fromSpec(path, name)),
  });

/** Rebuilds `relu` from its spec. */
export const reluDefinition = /* @__PURE__ */ definitionOf('relu');
/** Rebuilds `sigmoid` from its spec. */
export const sigmoidDefinition = /* @__PURE__ */ definitionOf('sigmoid');
/** Rebuilds `tanh` from its spec. */
export const tanhDefinition = /* @__PURE__ */ definitionOf('tanh');
/** Rebuilds `softmax` from its spec. */
export const softmaxDefinition = /* @__PURE__ */ definitionOf('softmax');
/** Rebuilds `gelu` from its spec. */
export const geluDefinition = /* @__PURE__ */ defineLayer({
  name: 'gelu',
  version: 1,
  build: (spec, _registry, path) => geluOf(specOptions(spec), fromSpec(path, 'gelu')),
});
