import {
  type GradientTransform,
  type Host,
  type Leaf,
  type NdArray,
  type Optimizer,
  type Params,
  type Scalars,
  TenonError,
  type TransformSpec,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type AnyTransform, optimizer } from './apply.js';

/** What stands between the name of a chain's part and the name of its scalar. A dot would make it a path. */
const SEPARATOR = '/';

/**
 * Several transforms as one, under a name of its own: what `adam` is made of. States and scalars keep the names that
 * the parts give them, which therefore must not collide: a part may occur once.
 */
export function compose(spec: TransformSpec, parts: readonly AnyTransform[]): GradientTransform {
  // Which state belongs to which part: the names are the same for every tree of parameters, the empty one as well.
  const owned = parts.map((part) => Object.keys(part.init({})));
  checkUnique(owned.flat(), spec.transform, 'state');
  checkUnique(
    parts.flatMap((part) => Object.keys(part.scalars(0))),
    spec.transform,
    'scalar',
  );
  return Object.freeze({
    spec,
    init: (params: Params<NdArray>) => Object.assign({}, ...parts.map((part) => part.init(params))),
    scalars: (step: number) => Object.assign({}, ...parts.map((part) => part.scalars(step))),
    update<P extends Params<Tensor>>(grads: P, state: Params<Tensor>, params: P, scalars: Scalars) {
      let updates = grads;
      const next: Record<string, Tensor | Params<Tensor>> = {};
      for (const [i, part] of parts.entries()) {
        const own = Object.fromEntries(owned[i].map((name) => [name, state[name] ?? {}]));
        const result = part.update(updates, own, params, scalars);
        updates = result.updates;
        Object.assign(next, result.state);
      }
      return { updates, state: next as Params<Tensor> };
    },
  });
}

/** A transform that `chain` made, and what of: so that chains of chains are flat. */
interface ChainTransform extends GradientTransform {
  readonly parts: readonly AnyTransform[];
}

/**
 * The optimizer that does one thing after the other: `chain(clipByGlobalNorm(1), adam({ learningRate: 1e-3 }))`. Takes
 * transforms and optimizers; of an optimizer, what it does to gradients. One of the parts applies the learning rate:
 * an optimizer, or `scaleByLearningRate`.
 *
 * Parts are named by kind and count, `clipByGlobalNorm_1`, `adam_1`; the state of a part stands under its name
 * (`adam_1.firstMoment.dense_1.kernel`; parts without state don't appear), and its scalars are prefixed with it
 * (`adam_1/learningRate`). A chain among the parts counts as its own parts: chaining is associative.
 *
 * Throws `INVALID_ARGUMENT` for an empty chain.
 *
 * Source: optax's `chain`.
 */
export function chain(...parts: readonly (AnyTransform | { readonly transform: AnyTransform })[]): Optimizer {
  const flat = parts.flatMap((part) => partsOf('transform' in part ? part.transform : part));
  if (flat.length === 0) {
    throw new TenonError({ code: 'INVALID_ARGUMENT', where: 'chain', expected: 'transforms', got: 'none' });
  }
  const counts: Record<string, number> = {};
  const named = flat.map((part) => {
    const kind = part.spec.transform;
    counts[kind] = (counts[kind] ?? 0) + 1;
    return { name: `${kind}_${counts[kind]}`, part };
  });
  const transform: ChainTransform = {
    spec: { transform: 'chain', parts: flat.map((part) => part.spec) },
    parts: flat,
    init(params) {
      const states = named.map(({ name, part }) => [name, part.init(params)] as const);
      return Object.fromEntries(states.filter(([, state]) => Object.keys(state).length > 0)) as Host<
        Params<Leaf>
      >;
    },
    scalars: (step) =>
      Object.fromEntries(
        named.flatMap(({ name, part }) =>
          Object.entries(part.scalars(step)).map(([scalar, value]) => [name + SEPARATOR + scalar, value]),
        ),
      ),
    update(grads, state, params, scalars) {
      let updates = grads;
      const next: Record<string, Tensor | Params<Tensor>> = {};
      for (const { name, part } of named) {
        const own = (state[name] ?? {}) as Params<Tensor>;
        const result = part.update(updates, own, params, scalarsOf(name, scalars));
        updates = result.updates;
        if (Object.keys(result.state).length > 0) next[name] = result.state as Params<Tensor>;
      }
      return { updates, state: next as Params<Tensor> };
    },
  };
  return optimizer(Object.freeze(transform));
}

/**
 * The optimizer with its learning rate multiplied by `factor(step)`, on the host: whatever the schedule says, times the
 * factor. In a chain all rates among the parts are. For a rate that is changed by hand while a training runs.
 *
 * Its spec and state are those of the optimizer that was given, so that checkpoints stay valid: whoever resumes gives
 * the same factors for the same steps, and the run is the same, bit for bit. With a factor of 1 it is the same optimizer.
 *
 * Throws `INVALID_ARGUMENT` for an optimizer without a scalar `learningRate`, and, at the step where it comes, for a
 * factor that is no finite number of at least 0.
 */
export function adjustLearningRate(
  { transform }: { readonly transform: AnyTransform },
  factor: (step: number) => number,
): Optimizer {
  const names = Object.keys(transform.scalars(0));
  if (names.some(isLearningRate)) return optimizer(adjusted(transform, factor));
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'adjustLearningRate',
    expected: "an optimizer with a scalar 'learningRate'",
    got: names.length === 0 ? 'one without scalars' : `one with ${names.join(', ')}`,
    hint: 'Make it with scaleByLearningRate.',
  });
}

function adjusted(transform: AnyTransform, factor: (step: number) => number): AnyTransform {
  const parts = partsOf(transform);
  // A chain stays one of its parts, which chaining it further counts on.
  if (parts[0] !== transform) return chain(...parts.map((part) => adjusted(part, factor))).transform;
  return Object.freeze<AnyTransform>({
    spec: transform.spec,
    init: (params) => transform.init(params),
    scalars: (step) =>
      Object.fromEntries(
        Object.entries(transform.scalars(step)).map(([name, value]) => [
          name,
          isLearningRate(name) ? value * checkFactor(factor(step), step) : value,
        ]),
      ),
    update: (updates, state, params, scalars) => transform.update(updates, state, params, scalars),
  });
}

function isLearningRate(name: string): boolean {
  return name === 'learningRate' || name.endsWith(`${SEPARATOR}learningRate`);
}

function checkFactor(factor: number, step: number): number {
  if (Number.isFinite(factor) && factor >= 0) return factor;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: `adjustLearningRate, step ${step}`,
    expected: 'a finite factor of at least 0',
    got: String(factor),
  });
}

function partsOf(transform: AnyTransform): readonly AnyTransform[] {
  return transform.spec.transform === 'chain' && 'parts' in transform
    ? (transform as ChainTransform).parts
    : [transform];
}

function scalarsOf(name: string, scalars: Scalars): Scalars {
  const prefix = name + SEPARATOR;
  return Object.fromEntries(
    Object.entries(scalars)
      .filter(([scalar]) => scalar.startsWith(prefix))
      .map(([scalar, value]) => [scalar.slice(prefix.length), value]),
  );
}

function checkUnique(names: readonly string[], where: string, what: string): void {
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice === undefined) return;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where,
    message: `two of its parts have a ${what} called '${twice}'`,
    hint: 'Use chain, which keeps parts apart.',
  });
}
