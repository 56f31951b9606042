import { add, div, mul, sqrt, square, sub, type Tensor } from '@tensorflow/tfjs-core';
import { definePrimitive, type OpInputs, type PrimitiveDefinition } from '../op.js';

type Attrs = {
  /** How many parameters there are. */
  readonly count: number;
  readonly beta1: number;
  readonly beta2: number;
  /** ε, where there is no `biasCorrection`; otherwise the scalar of this name is. */
  readonly epsilon: number;
  readonly biasCorrection: boolean;
};

/**
 * average + (value − average)·rate, which is β·average + (1 − β)·value for β = 1 − rate. Written so because 0.999 and
 * 0.001 in float32 don't add up to 1: the textbook form settles at 1.00001 times the value that it averages.
 */
function towards(average: Tensor, value: Tensor, rate: number): Tensor {
  return add(average, mul(sub(value, average), rate));
}

/**
 * Adam's arithmetic, for all parameters at once: see `adamMoments`. Inputs: update0 …, first0 …, second0 … by number,
 * and with `biasCorrection` the scalars rootScale and epsilon. Outputs: all updates, then all first and all second moments.
 */
export const adamMomentsDefinition: PrimitiveDefinition<OpInputs, Attrs> = {
  name: 'AdamMoments',
  reference(inputs, { count, beta1, beta2, epsilon, biasCorrection }) {
    const updates: Tensor[] = [];
    const firsts: Tensor[] = [];
    const seconds: Tensor[] = [];
    const added = biasCorrection ? inputs.epsilon : epsilon;
    for (let i = 0; i < count; i++) {
      const update = inputs[`update${i}`];
      const first = towards(inputs[`first${i}`], update, 1 - beta1);
      const second = towards(inputs[`second${i}`], square(update), 1 - beta2);
      const root = sqrt(second);
      updates.push(div(first, add(biasCorrection ? mul(root, inputs.rootScale) : root, added)));
      firsts.push(first);
      seconds.push(second);
    }
    return [...updates, ...firsts, ...seconds];
  },
};

const adamMomentsPrimitive = definePrimitive(adamMomentsDefinition);

/** What `adamMoments` takes; the three lists are of one length, and of one shape at each place. */
export interface AdamMomentsOptions {
  readonly updates: readonly Tensor[];
  readonly firstMoments: readonly Tensor[];
  readonly secondMoments: readonly Tensor[];
  readonly beta1: number;
  readonly beta2: number;
  /** ε; or, where the moments are corrected, the scalars (1 − β₁ᵗ)/√(1 − β₂ᵗ) and ε·(1 − β₁ᵗ). */
  readonly epsilon: number | { readonly rootScale: Tensor; readonly epsilon: Tensor };
}

/** What `adamMoments` gives: lists in the order of those that it took. */
export interface AdamMoments {
  readonly updates: readonly Tensor[];
  readonly firstMoments: readonly Tensor[];
  readonly secondMoments: readonly Tensor[];
}

/**
 * One step of Adam's moments, for all parameters at once:
 *
 *   m ← m + (1 − β₁)·(u − m),   v ← v + (1 − β₂)·(u² − v),   u ← m / (√v [· rootScale] + epsilon).
 *
 * What the corrected form's scalars mean is said at the optimizers' `scaleByAdam`. Kingma and Ba 2015, "Adam".
 */
export function adamMoments(options: AdamMomentsOptions): AdamMoments {
  const { updates, firstMoments, secondMoments, beta1, beta2, epsilon } = options;
  const count = updates.length;
  const inputs: { [name: string]: Tensor } = {};
  for (let i = 0; i < count; i++) {
    inputs[`update${i}`] = updates[i];
    inputs[`first${i}`] = firstMoments[i];
    inputs[`second${i}`] = secondMoments[i];
  }
  const biasCorrection = typeof epsilon !== 'number';
  if (biasCorrection) Object.assign(inputs, epsilon);
  const outputs = adamMomentsPrimitive(inputs, {
    count,
    beta1,
    beta2,
    epsilon: biasCorrection ? 0 : epsilon,
    biasCorrection,
  });
  return {
    updates: outputs.slice(0, count),
    firstMoments: outputs.slice(count, 2 * count),
    secondMoments: outputs.slice(2 * count),
  };
}
