import { defineLayer, randomUniform, type StatelessLayer, type TensorSpec } from '@tenon-ml/core';
import { cast, greaterEqual, mul, type Tensor } from '@tensorflow/tfjs-core';
import { frozenLayer } from './frozen.js';
import { checkFloat32 } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';

/**
 * In training, sets each element to 0 with probability `rate`, independently, and scales the others by 1 / (1 − rate),
 * so that the expectation stays ("inverted" dropout). Otherwise the identity.
 *
 * An element is kept where u ≥ rate, with u uniform in [0, 1) from the step's key, the layer's path and the call: the
 * same on every backend.
 *
 * Shapes: float32 of any shape. 0 ≤ rate < 1; PyTorch and Keras also take 1, which leaves nothing to learn from. Throws
 * `INVALID_ARGUMENT` otherwise, `DTYPE_MISMATCH`, and `MISSING_RANDOM_KEY` for a training step without a key.
 *
 * Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
 */
export function dropout(rate: number): StatelessLayer {
  return dropoutOf({ rate }, fromCall('dropout'));
}

/** Rebuilds `dropout` from its spec. */
export const dropoutDefinition = /* @__PURE__ */ defineLayer({
  name: 'dropout',
  version: 1,
  build: (spec, _registry, path) => dropoutOf(specOptions(spec), fromSpec(path, 'dropout')),
});

function dropoutOf(raw: RawOptions, source: OptionSource): StatelessLayer {
  const options = readOptions(raw, source);
  const rate = options.number(
    'rate',
    undefined,
    'from 0 up to, but not including, 1',
    (x) => x >= 0 && x < 1,
  );
  options.end();

  return frozenLayer({
    spec: { layer: 'dropout', version: 1, rate },
    init(_key, input: TensorSpec, path = '') {
      checkFloat32(input, path || 'dropout');
      return { params: {}, state: {}, output: { dtype: 'float32', shape: [...input.shape] } };
    },
    apply(_params, state, input: Tensor, context) {
      checkFloat32(input, context.path || 'dropout');
      if (!context.training || rate === 0) return { output: input, state };
      const kept = cast(greaterEqual(randomUniform(context.random, input.shape), rate), 'float32');
      return { output: mul(input, mul(kept, 1 / (1 - rate))), state };
    },
  });
}
