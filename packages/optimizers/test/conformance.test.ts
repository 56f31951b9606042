import { fromNested, type Optimizer, read, release, scalars, tensorCount, toNested } from '@tenon-ml/core';
import { add, mul, slice, square, sub, sum, type Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { adagrad, adam, adamw, chain, clipByGlobalNorm, cosineDecay, sgd } from '../src/index.js';
import { backend, compileDescent, type DeviceTree, type HostTree } from './run.js';

beforeAll(async () => {
  await backend.init();
});

/** An optimizer for each problem; 500 steps on the parabola, 600 on Rosenbrock's function. */
interface Row {
  readonly name: string;
  readonly parabola: Optimizer;
  readonly rosenbrock: Optimizer;
}

// One row for each optimizer: a new one is one more.
const rows: readonly Row[] = [
  { name: 'sgd', parabola: sgd({ learningRate: 0.05 }), rosenbrock: sgd({ learningRate: 0.015 }) },
  {
    name: 'sgd, momentum',
    parabola: sgd({ learningRate: 0.03, momentum: 0.8 }),
    rosenbrock: sgd({ learningRate: 5e-3, momentum: 0.9 }),
  },
  {
    name: 'sgd, nesterov',
    parabola: sgd({ learningRate: 0.03, momentum: 0.8, nesterov: true }),
    rosenbrock: sgd({ learningRate: 5e-3, momentum: 0.9, nesterov: true }),
  },
  { name: 'adagrad', parabola: adagrad({ learningRate: 2 }), rosenbrock: adagrad({ learningRate: 0.5 }) },
  { name: 'adam', parabola: adam({ learningRate: 0.1 }), rosenbrock: adam({ learningRate: 0.03 }) },
  {
    name: 'adam without bias correction',
    parabola: adam({ learningRate: 0.1, biasCorrection: false }),
    rosenbrock: adam({ learningRate: 0.03, biasCorrection: false }),
  },
  {
    name: 'adamw',
    parabola: adamw({ learningRate: 0.1, weightDecay: 1e-4 }),
    rosenbrock: adamw({ learningRate: 0.03, weightDecay: 1e-4 }),
  },
  {
    name: 'a chain with a bound and a schedule',
    parabola: chain(
      clipByGlobalNorm(5),
      sgd({ learningRate: cosineDecay({ peak: 0.1, steps: 500, warmup: 5 }) }),
    ),
    rosenbrock: chain(clipByGlobalNorm(1), sgd({ learningRate: 5e-3, momentum: 0.9 })),
  },
];

/** Σ (p − target)²: the minimum is at the target. */
const target = [1, -1, 1];
function parabola({ at }: DeviceTree): Tensor {
  return sum(square(sub(at as Tensor, target)));
}

/** (1 − x)² + 10·(y − x²)²: a curved valley, with its minimum at (1, 1). */
function rosenbrock({ at }: DeviceTree): Tensor {
  const [x, y] = [slice(at as Tensor, 0, 1), slice(at as Tensor, 1, 1)];
  return sum(add(square(sub(1, x)), mul(10, square(sub(y, square(x))))));
}

interface Descent {
  readonly found: readonly number[];
  /** Tensors after the 5th step and after the last. */
  readonly early: number;
  readonly late: number;
}

async function descend(
  optimizer: Optimizer,
  f: (params: DeviceTree) => Tensor,
  start: number[],
  steps: number,
): Promise<Descent> {
  const step = compileDescent(optimizer, f);
  const initial: HostTree = { at: fromNested(start) };
  let [params, state]: (HostTree | DeviceTree)[] = [initial, optimizer.init(initial)];
  let early = 0;
  for (let i = 0; i < steps; i++) {
    const next = step(params, state, scalars(optimizer.scalars(i)));
    release(next.value);
    ({ params, state } = next);
    if (i === 4) early = tensorCount();
  }
  const late = tensorCount();
  release(state as DeviceTree);
  const { at } = (await read(params as DeviceTree)) as unknown as { at: HostTree['at'] };
  return { found: toNested(at as never) as number[], early, late };
}

describe.each(rows)('$name', (row) => {
  test('finds the minimum of a parabola, with as many tensors after 500 steps as after 5', async () => {
    const before = tensorCount();
    const { found, early, late } = await descend(row.parabola, parabola, [-1, 10, 1], 500);
    for (const [i, wanted] of target.entries()) expect(Math.abs(found[i] - wanted)).toBeLessThan(0.02);
    expect(early).toBeGreaterThan(before);
    expect(late).toBe(early);
    expect(tensorCount()).toBe(before);
  });

  test("finds the minimum of Rosenbrock's function", async () => {
    const { found } = await descend(row.rosenbrock, rosenbrock, [0, 0], 600);
    for (const coordinate of found) expect(Math.abs(coordinate - 1)).toBeLessThan(0.05);
  });
});
