import { defineLayer, type StatelessLayer, sizeOf, type TensorSpec } from '@tenon-ml/core';
import { reshape, type Tensor } from '@tensorflow/tfjs-core';
import { frozenLayer } from './frozen.js';
import { shapeError } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';

/**
 * Every example as one vector, in row-major order: [batch, a, b, …] becomes [batch, a · b · …], [batch] becomes
 * [batch, 1]. Any dtype. Where a size is free, so is the result's. Throws `SHAPE_MISMATCH` for scalars.
 *
 * As in Keras and PyTorch; but images are [height, width, channels] here, so a kernel that follows has its rows in
 * another order than PyTorch's.
 */
export function flatten(): StatelessLayer {
  return flattenOf({}, fromCall('flatten'));
}

/** Rebuilds `flatten` from its spec. */
export const flattenDefinition = /* @__PURE__ */ defineLayer({
  name: 'flatten',
  version: 1,
  build: (spec, _registry, path) => flattenOf(specOptions(spec), fromSpec(path, 'flatten')),
});

function flattenOf(raw: RawOptions, source: OptionSource): StatelessLayer {
  readOptions(raw, source).end();
  return frozenLayer({
    spec: { layer: 'flatten', version: 1 },
    init(_key, input: TensorSpec, path = '') {
      if (input.shape.length === 0) throw shapeError(path || 'flatten', '[batch, …]', input);
      const [batch, ...sizes] = input.shape;
      const features = sizes.includes(null) ? null : sizeOf(sizes as number[]);
      return { params: {}, state: {}, output: { dtype: input.dtype, shape: [batch, features] } };
    },
    apply(_params, state, input: Tensor, context) {
      if (input.shape.length === 0) throw shapeError(context.path || 'flatten', '[batch, …]', input);
      const [batch, ...sizes] = input.shape;
      return { output: reshape(input, [batch, sizeOf(sizes)]), state };
    },
  });
}
