import {
  type AnyLayer,
  defineLayer,
  geluElements,
  type Layer,
  type None,
  type TensorSpec,
} from '@tenon-ml/core';
import { add, type Tensor } from '@tensorflow/tfjs-core';
import {
  type AttentionParams,
  multiHeadAttention,
  type ProjectionInitializers,
  projection,
  readProjections,
} from './attention.js';
import { applyChildren, initChildren } from './children.js';
import { affine, type KernelParams } from './dense.js';
import { frozenLayer } from './frozen.js';
import { checkSequence, leaves } from './inputs.js';
import { type LayerNormParams, layerNorm } from './normalization.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';
import { dropout as dropoutLayer } from './regularization.js';

/** Parameters of `feedForward`. */
export type FeedForwardParams = { readonly expand: KernelParams; readonly project: KernelParams };

/** Parameters of `transformerBlock`. */
export type TransformerBlockParams = {
  readonly norm1: LayerNormParams;
  readonly attention: AttentionParams;
  readonly norm2: LayerNormParams;
  readonly mlp: FeedForwardParams;
};

export interface FeedForwardOptions extends ProjectionInitializers {
  /** How many times as wide as the input the hidden layer is (default 4). */
  readonly ratio?: number;
}

export interface TransformerBlockOptions extends ProjectionInitializers {
  /** How many heads the attention has. */
  readonly heads: number;
  /** Whether a position sees only itself and earlier ones (default false). */
  readonly causal?: boolean;
  /** How many times as wide as the input the hidden layer of the mlp is (default 4). */
  readonly mlpRatio?: number;
  /** The part of each branch's output that is dropped in training (default 0). */
  readonly dropout?: number;
}

/**
 * The two-layer network of a transformer, at each position: y = gelu(x · expand.kernel + expand.bias) · project.kernel +
 * project.bias, with the exact gelu.
 *
 * Shapes: x float32 [batch, time, width]; expand.kernel [width, ratio·width], expand.bias [ratio·width]; project.kernel
 * [ratio·width, width], project.bias [width]; y as x. Throws `INVALID_ARGUMENT`, `SHAPE_MISMATCH`, `DTYPE_MISMATCH`.
 *
 * Vaswani et al. 2017, "Attention is all you need", with relu there; GPT-2 has gelu's approximation.
 */
export function feedForward(options: FeedForwardOptions = {}): Layer<FeedForwardParams, None> {
  return feedForwardOf({ ...options }, fromCall('feedForward'));
}

/** Rebuilds `feedForward` from its spec. */
export const feedForwardDefinition = /* @__PURE__ */ defineLayer({
  name: 'feedForward',
  version: 1,
  build: (spec, _registry, path) => feedForwardOf(specOptions(spec), fromSpec(path, 'feedForward')),
});

/**
 * A block of a transformer that normalizes before each branch, as GPT-2's:
 *
 *   a = x + dropout(attention(norm1(x))),   y = a + dropout(mlp(norm2(a)))
 *
 * with `layerNorm`, `multiHeadAttention` and `feedForward`, whose parameters are below `norm1`, `attention`, `norm2` and
 * `mlp`. A stack of blocks ends with a `layerNorm` of its own.
 *
 * Shapes: x float32 [batch, time, width], y as x. Throws what its parts throw.
 *
 * It is PyTorch's `TransformerEncoderLayer` with `norm_first=True` and `activation='gelu'`, but for its dropout of
 * attention weights and of the hidden layer, which aren't here.
 *
 * Radford et al. 2019, "Language models are unsupervised multitask learners"; Xiong et al. 2020, "On layer normalization
 * in the transformer architecture".
 */
export function transformerBlock(options: TransformerBlockOptions): Layer<TransformerBlockParams, None> {
  return transformerBlockOf({ ...options }, fromCall('transformerBlock'));
}

/** Rebuilds `transformerBlock` from its spec. */
export const transformerBlockDefinition = /* @__PURE__ */ defineLayer({
  name: 'transformerBlock',
  version: 1,
  build: (spec, _registry, path) => transformerBlockOf(specOptions(spec), fromSpec(path, 'transformerBlock')),
});

function feedForwardOf(raw: RawOptions, source: OptionSource): Layer<FeedForwardParams, None> {
  const options = readOptions(raw, source);
  const ratio = options.positiveInteger('ratio', 4);
  const { kernelInitializer, outputInitializer } = readProjections(options);
  options.end();

  return frozenLayer<FeedForwardParams, None>({
    spec: { layer: 'feedForward', version: 1, ratio, kernelInitializer, outputInitializer },
    init(key, input: TensorSpec, path = '') {
      const where = path || 'feedForward';
      const width = checkSequence(input, where);
      return {
        params: {
          expand: projection(kernelInitializer, key.foldIn('expand'), [width, ratio * width], where),
          project: projection(outputInitializer, key.foldIn('project'), [ratio * width, width], where),
        },
        state: {},
        output: { dtype: 'float32', shape: [...input.shape] },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'feedForward';
      const [expand, inner] = leaves(params.expand ?? {}, ['kernel', 'bias'], where, 'parameters expand');
      const [project, outer] = leaves(params.project ?? {}, ['kernel', 'bias'], where, 'parameters project');
      checkSequence(input, where, expand.shape[0]);
      return { output: affine(geluElements(affine(input, expand, inner)), project, outer), state };
    },
  });
}

function transformerBlockOf(raw: RawOptions, source: OptionSource): Layer<TransformerBlockParams, None> {
  const options = readOptions(raw, source);
  const heads = options.positiveInteger('heads');
  const causal = options.boolean('causal', false);
  const mlpRatio = options.positiveInteger('mlpRatio', 4);
  const dropout = options.number('dropout', 0, 'from 0 up to, but not including, 1', (x) => x >= 0 && x < 1);
  const initializers = readProjections(options);
  options.end();

  const children: { readonly [name: string]: AnyLayer } = {
    norm1: layerNorm(),
    attention: multiHeadAttention({ heads, causal, ...initializers }),
    norm2: layerNorm(),
    mlp: feedForward({ ratio: mlpRatio, ...initializers }),
    dropout: dropoutLayer(dropout),
  } as { readonly [name: string]: AnyLayer };
  return frozenLayer({
    spec: { layer: 'transformerBlock', version: 1, heads, causal, mlpRatio, dropout, ...initializers },
    children,
    init(key, input: TensorSpec, path = '') {
      checkSequence(input, path || 'transformerBlock');
      const run = initChildren(children, key, path);
      for (const name of ['norm1', 'attention', 'dropout', 'norm2', 'mlp']) run.child(name, input);
      return { ...run.done(), output: { dtype: 'float32', shape: [...input.shape] } };
    },
    apply(params, state, input: Tensor, context) {
      checkSequence(input, context.path || 'transformerBlock');
      const run = applyChildren(children, params, state, context);
      const branch = (x: Tensor, norm: string, body: string): Tensor =>
        add(x, run.child('dropout', run.child(body, run.child(norm, x))) as Tensor);
      const output = branch(branch(input, 'norm1', 'attention'), 'norm2', 'mlp');
      return { ...run.done(), output };
    },
  }) as unknown as Layer<TransformerBlockParams, None>;
}
