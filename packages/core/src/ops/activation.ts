import {
  add,
  erf,
  exp,
  mul,
  relu,
  sigmoid,
  square,
  step,
  sub,
  type Tensor,
  tanh,
} from '@tensorflow/tfjs-core';
import { defineOp, definePrimitive, type OpDefinition, type PrimitiveDefinition } from '../op.js';

type Input = { readonly x: Tensor };
type None = Record<string, never>;
type FromOutput = { readonly dy: Tensor; readonly y: Tensor };
type GeluAttrs = { readonly approximate: boolean };

/** dx = dy · [y > 0], for y = max(x, 0). */
export const reluGradDefinition: PrimitiveDefinition<FromOutput, None> = {
  name: 'ReluGrad',
  reference: ({ dy, y }) => [mul(dy, step(y))],
};

/** dx = dy · y · (1 − y), for y = sigmoid(x). */
export const sigmoidGradDefinition: PrimitiveDefinition<FromOutput, None> = {
  name: 'SigmoidGrad',
  reference: ({ dy, y }) => [mul(dy, mul(y, sub(1, y)))],
};

/** dx = dy · (1 − y²), for y = tanh(x). */
export const tanhGradDefinition: PrimitiveDefinition<FromOutput, None> = {
  name: 'TanhGrad',
  reference: ({ dy, y }) => [mul(dy, sub(1, square(y)))],
};

const ROOT_HALF = Math.SQRT1_2;
/** √(2/π), and the cubic term's factor: Hendrycks and Gimpel 2016. */
const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;
/** 1/√(2π), the normal density at 0. */
const DENSITY = 1 / Math.sqrt(2 * Math.PI);

/** √(2/π) · (x + 0.044715·x³). */
function tanhArgument(x: Tensor): Tensor {
  return mul(mul(x, add(mul(square(x), TANH_CUBIC), 1)), TANH_SCALE);
}

/**
 * dx = dy · gelu′(x). With the normal distribution's Φ(x) = (1 + erf(x/√2)) / 2 and its density φ,
 * gelu′ = Φ(x) + x·φ(x); approximately, with t = tanh(√(2/π)·(x + 0.044715·x³)),
 * gelu′ = (1 + t)/2 + x·(1 − t²)/2 · √(2/π)·(1 + 3·0.044715·x²).
 */
export const geluGradDefinition: PrimitiveDefinition<{ readonly dy: Tensor; readonly x: Tensor }, GeluAttrs> =
  {
    name: 'GeluGrad',
    reference({ dy, x }, { approximate }) {
      if (!approximate) {
        const below = mul(add(erf(mul(x, ROOT_HALF)), 1), 0.5);
        const density = mul(exp(mul(square(x), -0.5)), DENSITY);
        return [mul(dy, add(below, mul(x, density)))];
      }
      const t = tanh(tanhArgument(x));
      const slope = mul(add(mul(square(x), 3 * TANH_CUBIC), 1), TANH_SCALE);
      const bend = mul(mul(x, sub(1, square(t))), slope);
      return [mul(dy, mul(add(add(t, 1), bend), 0.5))];
    },
  };

const reluGrad = definePrimitive(reluGradDefinition);
const sigmoidGrad = definePrimitive(sigmoidGradDefinition);
const tanhGrad = definePrimitive(tanhGradDefinition);
const geluGrad = definePrimitive(geluGradDefinition);

/** max(x, 0); the gradient at 0 is 0. The kernel is tfjs's own, as are those of the next two. */
export const reluElementsDefinition: OpDefinition<Input, None> = {
  name: 'Relu',
  reference: ({ x }) => relu(x),
  gradient: (dy, { output }) => ({ x: reluGrad({ dy, y: output }, {})[0] }),
};

/** 1 / (1 + e^−x). */
export const sigmoidElementsDefinition: OpDefinition<Input, None> = {
  name: 'Sigmoid',
  reference: ({ x }) => sigmoid(x),
  gradient: (dy, { output }) => ({ x: sigmoidGrad({ dy, y: output }, {})[0] }),
};

/** The hyperbolic tangent. */
export const tanhElementsDefinition: OpDefinition<Input, None> = {
  name: 'Tanh',
  reference: ({ x }) => tanh(x),
  gradient: (dy, { output }) => ({ x: tanhGrad({ dy, y: output }, {})[0] }),
};

/** x · Φ(x); see `geluElements`. */
export const geluElementsDefinition: OpDefinition<Input, GeluAttrs> = {
  name: 'Gelu',
  reference({ x }, { approximate }) {
    const share = approximate ? tanh(tanhArgument(x)) : erf(mul(x, ROOT_HALF));
    return mul(mul(x, 0.5), add(share, 1));
  },
  gradient: (dy, { inputs: { x } }, attrs) => ({ x: geluGrad({ dy, x }, attrs)[0] }),
};

const reluOp = defineOp(reluElementsDefinition);
const sigmoidOp = defineOp(sigmoidElementsDefinition);
const tanhOp = defineOp(tanhElementsDefinition);
const geluOp = defineOp(geluElementsDefinition);

/** max(x, 0) of float32 of any shape, with a gradient that backends have a kernel for; so for the next three. */
export function reluElements(x: Tensor): Tensor {
  return reluOp({ x }, {});
}

/** 1 / (1 + e^−x) of float32 of any shape. */
export function sigmoidElements(x: Tensor): Tensor {
  return sigmoidOp({ x }, {});
}

/** tanh(x) of float32 of any shape. */
export function tanhElements(x: Tensor): Tensor {
  return tanhOp({ x }, {});
}

/**
 * The Gaussian error linear unit of float32 of any shape: x · Φ(x) = x/2 · (1 + erf(x/√2)); approximately
 * x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), which GPT-2 uses, and which is off by at most 5·10⁻⁴.
 *
 * Hendrycks and Gimpel 2016, "Gaussian error linear units".
 */
export function geluElements(x: Tensor, approximate = false): Tensor {
  return geluOp({ x }, { approximate });
}
