import { add, matMul, mul, softmax, sub, sum, type Tensor, tensor2d } from '@tensorflow/tfjs-core';
import { defineOp, definePrimitive, type OpDefinition, type PrimitiveDefinition } from '../op.js';

type Inputs = { readonly query: Tensor; readonly key: Tensor; readonly value: Tensor };
type Attrs = { readonly causal: boolean; readonly scale: number };

/** −∞ where a position would look at a later one, 0 elsewhere: [queries, keys]. */
function causalMask(queries: number, keys: number): Tensor {
  const mask = new Float32Array(queries * keys);
  for (let row = 0; row < queries; row++)
    mask.fill(Number.NEGATIVE_INFINITY, row * keys + row + 1, (row + 1) * keys);
  return tensor2d(mask, [queries, keys]);
}

/** P = softmax(scale · Q·Kᵀ [+ mask]), [batch, heads, queries, keys]. */
function weightsOf(query: Tensor, key: Tensor, { causal, scale }: Attrs): Tensor {
  const scores = mul(matMul(query, key, false, true), scale);
  return softmax(causal ? add(scores, causalMask(query.shape[2] as number, key.shape[2] as number)) : scores);
}

/**
 * The gradient of `Attention`. With P its weights and dP = dy·Vᵀ: dS = P ∘ (dP − Σ_keys dP∘P), and
 *
 *   dquery = scale · dS·K,   dkey = scale · dSᵀ·Q,   dvalue = Pᵀ·dy.
 */
export const attentionGradDefinition: PrimitiveDefinition<Inputs & { readonly dy: Tensor }, Attrs> = {
  name: 'AttentionGrad',
  reference({ dy, query, key, value }, attrs) {
    const weights = weightsOf(query, key, attrs);
    const above = matMul(dy, value, false, true);
    const scores = mul(mul(weights, sub(above, sum(mul(above, weights), 3, true))), attrs.scale);
    return [matMul(scores, key), matMul(scores, query, true, false), matMul(weights, dy, true, false)];
  },
};

const attentionGrad = definePrimitive(attentionGradDefinition);

/** softmax(scale · Q·Kᵀ [+ mask]) · V: see `scaledDotProductAttention`. */
export const attentionDefinition: OpDefinition<Inputs, Attrs> = {
  name: 'Attention',
  reference: ({ query, key, value }, attrs) => matMul(weightsOf(query, key, attrs), value),
  gradient(dy, { inputs: { query, key, value } }, attrs) {
    const [dquery, dkey, dvalue] = attentionGrad({ dy, query, key, value }, attrs);
    return { query: dquery, key: dkey, value: dvalue };
  },
};

const attentionOp = defineOp(attentionDefinition);

/** How `scaledDotProductAttention` looks. */
export interface AttentionOptions {
  /** Whether a position sees only itself and earlier ones (default false). */
  readonly causal?: boolean;
  /** What scores are multiplied by (default 1/√size, of a head). */
  readonly scale?: number;
}

/**
 * softmax(scale · Q·Kᵀ) · V, for each example and head. query, key and value: float32 [batch, heads, time, size] of one
 * shape, as is the result. With `causal`, position t sees the positions up to t.
 *
 * Vaswani et al. 2017, "Attention is all you need". PyTorch's `scaled_dot_product_attention`, without masks but this one.
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Tensor {
  return attentionOp({ query, key, value }, attrsOf(query, options));
}

/**
 * What `scaledDotProductAttention` weighs the values by: softmax(scale · Q·Kᵀ), over the keys. query and key: float32
 * [batch, heads, time, size]; the result [batch, heads, queries, keys], whose rows sum to 1. With `causal` the weights of
 * later positions are 0.
 */
export function attentionWeights(query: Tensor, key: Tensor, options: AttentionOptions = {}): Tensor {
  return weightsOf(query, key, attrsOf(query, options));
}

function attrsOf(query: Tensor, options: AttentionOptions): Attrs {
  const { causal = false, scale = 1 / Math.sqrt(query.shape[3] as number) } = options;
  return { causal, scale };
}
