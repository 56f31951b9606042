import { type Metric, type NdArray, ndarray, type Tree } from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { accuracy, confusionMatrix, f1, mean, precision, recall } from '../src/index.js';

const CLASSES = 4;

interface Example {
  readonly label: number;
  readonly predicted: number;
  readonly weight: number;
  readonly value: number;
}

/** Weights and values of any size: their sums in float64 depend on the order. */
const example: fc.Arbitrary<Example> = fc.record({
  label: fc.nat(CLASSES - 1),
  predicted: fc.integer({ min: -1, max: CLASSES - 1 }),
  weight: fc
    .oneof(fc.constantFrom(0, 1, Math.fround(0.1)), fc.float({ min: 0, max: 1e6, noNaN: true }))
    .map(Math.abs),
  value: fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constant(Number.NaN)),
});

/** Examples, a way to cut them into batches, an order of the batches, and a way to merge their states. */
const streams = fc.array(example, { minLength: 1, maxLength: 24 }).chain((examples) =>
  fc.record({
    examples: fc.constant(examples),
    shuffled: fc.shuffledSubarray(examples, { minLength: examples.length }),
    cuts: fc.uniqueArray(fc.integer({ min: 1, max: Math.max(1, examples.length - 1) })),
    merges: fc.infiniteStream(fc.nat()),
  }),
);

/** A batch as the step gives it out: for classes, and for values. */
function observed(batch: readonly Example[]): Record<'classes' | 'values', Tree<NdArray>> {
  const shape = [batch.length];
  const int32 = (of: (one: Example) => number) => ndarray('int32', shape, Int32Array.from(batch, of));
  const float32 = (of: (one: Example) => number) => ndarray('float32', shape, Float32Array.from(batch, of));
  const weights = float32(({ weight }) => weight);
  return {
    classes: {
      label: int32(({ label }) => label),
      predicted: int32(({ predicted }) => predicted),
      weights,
      classes: ndarray('int32', [], Int32Array.of(CLASSES)),
    },
    values: { values: float32(({ value }) => value), weights },
  };
}

function split(examples: readonly Example[], cuts: readonly number[]): Example[][] {
  const ends = [...cuts].filter((cut) => cut < examples.length).sort((a, b) => a - b);
  return [0, ...ends].map((begin, i) => examples.slice(begin, ends[i] ?? examples.length));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}

const scores = Object.entries({ precision, recall, f1 }).flatMap(
  ([kind, metric]): [string, Metric, 'classes'][] => [
    [`${kind} of class 2`, metric({ positive: 2 }), 'classes'],
    [`${kind}, macro`, metric({ average: 'macro' }), 'classes'],
    [`${kind}, macro of all`, metric({ average: 'macro', classes: CLASSES }), 'classes'],
    [`${kind}, micro`, metric({ average: 'micro' }), 'classes'],
    [`${kind}, weighted`, metric({ average: 'weighted' }), 'classes'],
    [`${kind}, none`, metric({ average: 'none' }), 'classes'],
  ],
);
const metrics: [string, Metric, 'classes' | 'values'][] = [
  ['accuracy', accuracy(), 'classes'],
  ['confusionMatrix', confusionMatrix({ classes: CLASSES }), 'classes'],
  ['mean', mean('mean'), 'values'],
  ...scores,
];

describe.each(metrics)('%s', (_, metric, kind) => {
  const stateOf = (batch: readonly Example[]) =>
    deepFreeze(metric.update(metric.empty(), observed(batch)[kind]));

  test('is the same, bit for bit, however the examples are ordered, batched and merged', () => {
    fc.assert(
      fc.property(streams, ({ examples, shuffled, cuts, merges }) => {
        const whole = stateOf(examples);
        const streamed = split(shuffled, cuts).reduce(
          (state, batch) => deepFreeze(metric.update(state, observed(batch)[kind])),
          deepFreeze(metric.empty()),
        );
        expect(streamed).toEqual(whole);

        // Any merge tree over any order: two states are taken out and their merge is put back.
        const states = split(shuffled, cuts).map(stateOf);
        while (states.length > 1) {
          const [left] = states.splice(merges.next().value % states.length, 1);
          const [right] = states.splice(merges.next().value % states.length, 1);
          states.push(deepFreeze(metric.merge(left, right)));
        }
        expect(states[0]).toEqual(whole);
        expect(JSON.stringify(states[0])).toBe(JSON.stringify(whole));
        expect(metric.compute(states[0])).toEqual(metric.compute(whole));
      }),
      { numRuns: 60 },
    );
  });

  test('is a monoid, and update is a merge', () => {
    const few = fc.array(example, { maxLength: 6 });
    fc.assert(
      fc.property(fc.tuple(few, few, few), (parts) => {
        const [a, b, c] = parts.map(stateOf);
        expect(metric.merge(metric.merge(a, b), c)).toEqual(metric.merge(a, metric.merge(b, c)));
        expect(metric.merge(a, metric.empty())).toEqual(a);
        expect(metric.merge(metric.empty(), a)).toEqual(a);
        expect(metric.update(a, observed(parts[1])[kind])).toEqual(metric.merge(a, b));
        expect(metric.merge(a, b)).toEqual(metric.merge(b, a));
      }),
      { numRuns: 60 },
    );
  });

  test('survives JSON', () => {
    fc.assert(
      fc.property(fc.array(example, { maxLength: 12 }), (examples) => {
        const state = stateOf(examples);
        const stored = JSON.parse(JSON.stringify(state)) as typeof state;
        expect(stored).toEqual(state);
        expect(metric.compute(stored)).toEqual(metric.compute(state));
      }),
    );
  });

  test('leaves out examples of weight 0', () => {
    fc.assert(
      fc.property(fc.array(example, { minLength: 1, maxLength: 12 }), (examples) => {
        const padding = examples.map((one) => ({ ...one, weight: 0, value: Number.NaN, label: 99 }));
        expect(stateOf([...padding, ...examples])).toEqual(stateOf(examples));
      }),
    );
  });

  test('has nothing to say of nothing', () => {
    const nothing = metric.compute(metric.empty());
    expect(nothing).toEqual(
      kind === 'classes' && Array.isArray(nothing) ? new Array(4).fill([0, 0, 0, 0]) : null,
    );
    expect(metric.empty()).not.toBe(metric.empty());
  });
});

/** The definitions, in plain float64, over all examples at once. */
describe('agrees with its definition', () => {
  const finite = fc.array(
    example.map((one) => ({
      ...one,
      value: Math.fround(one.value % 1000) || 0,
      weight: Math.fround(one.weight % 8),
    })),
    { minLength: 1, maxLength: 20 },
  );
  const weigh = (examples: readonly Example[], of: (one: Example) => boolean): number =>
    examples.filter(of).reduce((sum, { weight }) => sum + weight, 0);
  const close = (actual: unknown, expected: number) =>
    expectClose(actual as number, expected, { op: 'metric', dtype: 'float64', reduction: 20 });

  test('accuracy, micro scores', () => {
    fc.assert(
      fc.property(finite, (examples) => {
        const batch = observed(examples).classes;
        const all = weigh(examples, () => true);
        if (all === 0) return;
        const right = weigh(examples, ({ label, predicted }) => label === predicted) / all;
        close(accuracy().compute(accuracy().update(accuracy().empty(), batch)), right);
        const micro = recall({ average: 'micro' });
        close(micro.compute(micro.update(micro.empty(), batch)), right);
      }),
    );
  });

  test('precision, recall and f1 of each class', () => {
    fc.assert(
      fc.property(finite, (examples) => {
        if (weigh(examples, () => true) === 0) return;
        const batch = observed(examples).classes;
        const of = (metric: typeof precision) => {
          const none = metric({ average: 'none' });
          return none.compute(none.update(none.empty(), batch)) as number[];
        };
        for (let k = 0; k < CLASSES; k++) {
          const both = weigh(examples, ({ label, predicted }) => label === k && predicted === k);
          const said = weigh(examples, ({ predicted }) => predicted === k);
          const are = weigh(examples, ({ label }) => label === k);
          close(of(precision)[k], said === 0 ? 0 : both / said);
          close(of(recall)[k], are === 0 ? 0 : both / are);
          close(of(f1)[k], both === 0 ? 0 : 2 / (said / both + are / both));
        }
      }),
    );
  });

  test('confusion matrix and mean', () => {
    fc.assert(
      fc.property(finite, (examples) => {
        const { classes, values } = observed(examples);
        const matrix = confusionMatrix({ classes: CLASSES });
        const rows = matrix.compute(matrix.update(matrix.empty(), classes));
        for (let i = 0; i < CLASSES; i++) {
          for (let j = 0; j < CLASSES; j++) {
            close(
              rows[i][j],
              weigh(examples, ({ label, predicted }) => label === i && predicted === j),
            );
          }
        }
        const all = weigh(examples, () => true);
        if (all === 0) return;
        const metric = mean('value');
        const weighted = examples.reduce((sum, { value, weight }) => sum + value * weight, 0);
        const largest = examples.reduce((sum, { value, weight }) => sum + Math.abs(value) * weight, 0) / all;
        const result = metric.compute(metric.update(metric.empty(), values)) as number;
        expect(Math.abs(result - weighted / all)).toBeLessThanOrEqual(1e-13 * largest);
      }),
    );
  });
});
