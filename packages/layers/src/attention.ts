import {
  defineLayer,
  type Host,
  type Key,
  type Layer,
  type None,
  scaledDotProductAttention,
  type TensorSpec,
} from '@tenon-ml/core';
import { reshape, type Tensor, transpose, unstack } from '@tensorflow/tfjs-core';
import { affine, type KernelParams } from './dense.js';
import { frozenLayer } from './frozen.js';
import { type Initializer, initialize, readInitializer } from './initializers.js';
import { checkSequence, type InputLike, leaves, shapeError } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionReader,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';

/** Parameters of `multiHeadAttention`. */
export type AttentionParams = { readonly qkv: KernelParams; readonly output: KernelParams };

/** How the kernels of a transformer's parts begin. */
export interface ProjectionInitializers {
  /** Of the kernels (default 'glorotUniform'). GPT-2 has { initializer: 'normal', standardDeviation: 0.02 }. */
  readonly kernelInitializer?: Initializer;
  /**
   * Of the kernel that gives the output (default: as the others). GPT-2's deviation is 0.02 / √(2 · blocks), since every
   * block adds two such outputs to its input.
   */
  readonly outputInitializer?: Initializer;
}

export interface MultiHeadAttentionOptions extends ProjectionInitializers {
  /** How many heads look, each at its share of the width. */
  readonly heads: number;
  /** Whether a position sees only itself and earlier ones (default false). */
  readonly causal?: boolean;
}

/**
 * Self-attention: every position takes a mean of all values, weighted by how its query fits their keys.
 *
 *   [Q | K | V] = x · qkv.kernel + qkv.bias, each cut into heads of size d = width / heads
 *   y = concat_heads(softmax(Q·Kᵀ/√d [+ mask]) · V) · output.kernel + output.bias
 *
 * Shapes: x float32 [batch, time, width]; qkv.kernel [width, 3·width], qkv.bias [3·width]; output.kernel [width, width],
 * output.bias [width]; y as x. Biases begin as zeros. With `causal`, y at a time depends on x up to then.
 *
 * Q and K are tapped as `query` and `key`, [batch, heads, time, d]: `attentionWeights` of core makes the softmax of them.
 *
 * Throws `INVALID_ARGUMENT` for options that make no sense, `SHAPE_MISMATCH` for inputs of another rank, or whose width
 * the heads don't divide, and `DTYPE_MISMATCH`.
 *
 * The three projections are one product, in PyTorch's order (`MultiheadAttention.in_proj_weight`, transposed), and their
 * glorotUniform is over it as a whole, as there; Keras has three of [width, heads, size]. No mask but the causal one, and
 * no dropout of weights: both break what makes attention one kernel.
 *
 * Vaswani et al. 2017, "Attention is all you need".
 */
export function multiHeadAttention(options: MultiHeadAttentionOptions): Layer<AttentionParams, None> {
  return multiHeadAttentionOf({ ...options }, fromCall('multiHeadAttention'));
}

/** Rebuilds `multiHeadAttention` from its spec. */
export const multiHeadAttentionDefinition = /* @__PURE__ */ defineLayer({
  name: 'multiHeadAttention',
  version: 1,
  build: (spec, _registry, path) =>
    multiHeadAttentionOf(specOptions(spec), fromSpec(path, 'multiHeadAttention')),
});

function multiHeadAttentionOf(raw: RawOptions, source: OptionSource): Layer<AttentionParams, None> {
  const options = readOptions(raw, source);
  const heads = options.positiveInteger('heads');
  const causal = options.boolean('causal', false);
  const { kernelInitializer, outputInitializer } = readProjections(options);
  options.end();

  return frozenLayer<AttentionParams, None>({
    spec: { layer: 'multiHeadAttention', version: 1, heads, causal, kernelInitializer, outputInitializer },
    init(key, input: TensorSpec, path = '') {
      const where = path || 'multiHeadAttention';
      const width = checkInput(input, where, heads);
      const output = key.foldIn('output');
      return {
        params: {
          qkv: projection(kernelInitializer, key.foldIn('qkv'), [width, 3 * width], where),
          output: projection(outputInitializer, output, [width, width], where),
        },
        state: {},
        output: { dtype: 'float32', shape: [...input.shape] },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'multiHeadAttention';
      const [qkv, bias] = leaves(params.qkv ?? {}, ['kernel', 'bias'], where, 'parameters qkv');
      const [output, offset] = leaves(params.output ?? {}, ['kernel', 'bias'], where, 'parameters output');
      const width = checkInput(input, where, heads, qkv.shape[0]);
      const [batch, time] = input.shape;
      const split = reshape(affine(input, qkv, bias), [batch, time, 3, heads, width / heads]);
      const [query, key, value] = unstack(transpose(split, [2, 0, 3, 1, 4]), 0);
      // Shown for whoever wants the weights, which the product below never holds.
      const [q, k] = [context.tap('query', query), context.tap('key', key)];
      const seen = transpose(scaledDotProductAttention(q, k, value, { causal }), [0, 2, 1, 3]);
      return { output: affine(reshape(seen, [batch, time, width]), output, offset), state };
    },
  });
}

/** The options `kernelInitializer` and `outputInitializer`. */
export function readProjections(options: OptionReader): Required<ProjectionInitializers> {
  const kernelInitializer = readInitializer(options, 'kernelInitializer', 'glorotUniform');
  return {
    kernelInitializer,
    outputInitializer: readInitializer(options, 'outputInitializer', kernelInitializer),
  };
}

/** A kernel of this shape, and a bias of zeros. */
export function projection(
  initializer: Initializer,
  key: Key,
  shape: readonly [number, number],
  where: string,
): Host<KernelParams> {
  return {
    kernel: initialize(initializer, key.foldIn('kernel'), shape, where),
    bias: initialize('zeros', key.foldIn('bias'), [shape[1]], where),
  };
}

function checkInput(input: InputLike, where: string, heads: number, known?: number): number {
  const width = checkSequence(input, where, known);
  if (width % heads === 0) return width;
  const hint = 'Each head takes an equal share of the width: change one of the two.';
  throw shapeError(where, `[batch, time, width] with a width that ${heads} heads divide`, input, hint);
}
