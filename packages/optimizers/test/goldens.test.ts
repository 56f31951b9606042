import { compile, type Optimizer, read, type Schedule, scalars } from '@tenon-ml/core';
import {
  expectClose,
  type GoldenCase,
  loadGoldens,
  type OptimizerGolden,
  toFloat32,
} from '@tenon-ml/testkit';
import { mul, sub, type Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  adagrad,
  adam,
  adamw,
  chain,
  clipByGlobalNorm,
  cosineDecay,
  globalNorm,
  sgd,
  stepDecay,
  withWarmup,
} from '../src/index.js';
import { backend, compileUpdate, type DeviceTree, type HostTree } from './run.js';
import { byPath } from './trees.js';

beforeAll(async () => {
  await backend.init();
});

const optimizers = { sgd, adagrad, adam, adamw } as const;
const cases = loadGoldens('optimizers');

/** The schedule of a golden's config; the warm-up in two ways, which must agree. */
function schedulesOf(config: { readonly [option: string]: string | number }): Schedule[] {
  const number = (name: string): number => Number(config[name]);
  const [steps, end] = [number('steps'), number('end')];
  switch (config.schedule) {
    case 'step':
      return [stepDecay({ initial: number('initial'), every: number('stepSize'), factor: number('factor') })];
    case 'cosine':
      return [cosineDecay({ peak: number('initial'), steps, end })];
    case 'warmupCosine': {
      const [peak, warmup, after] = [number('peak'), number('warmupSteps'), number('cosineSteps')];
      return [
        cosineDecay({ peak, warmup, steps: warmup + after, end }),
        withWarmup(cosineDecay({ peak, steps: after, end }), warmup),
      ];
    }
    default:
      throw new Error(`no schedule ${config.schedule}`);
  }
}

function optimizerOf({ about }: GoldenCase<OptimizerGolden>): Optimizer {
  const { clipByGlobalNorm: maxNorm, learningRate, ...options } = about.config;
  const rate = typeof learningRate === 'number' ? learningRate : schedulesOf(learningRate as never)[0];
  const make = optimizers[about.optimizer] as (options: object) => Optimizer;
  const inner = make({ ...options, learningRate: rate });
  return maxNorm === undefined ? inner : chain(clipByGlobalNorm(maxNorm as number), inner);
}

describe('20 steps of PyTorch in float64', () => {
  test('all of them are here', () => {
    expect(cases.length).toBeGreaterThanOrEqual(24);
    expect(new Set(cases.map(({ about }) => about.optimizer))).toEqual(new Set(Object.keys(optimizers)));
  });

  test.each(cases)('$name', async (golden) => {
    const optimizer = optimizerOf(golden);
    const update = compileUpdate(optimizer);
    const initial = toFloat32(golden.tree('initial'));
    // Gradients of an objective are taken where our own parameters are, not where PyTorch's were.
    const quadratic = compile(
      (p: DeviceTree, k: DeviceTree, c: DeviceTree) => ({
        a: mul(k.a as Tensor, sub(p.a as Tensor, c.a as Tensor)),
        b: {
          c: mul(
            (k.b as DeviceTree).c as Tensor,
            sub((p.b as DeviceTree).c as Tensor, (c.b as DeviceTree).c as Tensor),
          ),
        },
      }),
      { backend },
    ) as unknown as (...trees: readonly unknown[]) => DeviceTree;
    let params: HostTree | DeviceTree = initial;
    let state: HostTree | DeviceTree = optimizer.init(initial);
    for (let step = 0; step < golden.about.steps; step++) {
      const grads =
        golden.about.objective === 'quadratic'
          ? quadratic(params, toFloat32(golden.tree('curvature')), toFloat32(golden.tree('center')))
          : toFloat32(golden.tree(`grads/${step}`));
      ({ params, state } = update(params, state, grads, scalars(optimizer.scalars(step))));
      const leaves = byPath((await read(params, { keep: true })) as unknown as HostTree);
      const reference = golden.paths(`params/${step}`);
      expect(Object.keys(leaves).sort()).toEqual(Object.keys(reference).sort());
      for (const [path, leaf] of Object.entries(leaves)) {
        expectClose(leaf, reference[path], {
          op: 'optimizer',
          reduction: step + 1,
          name: `step ${step}, ${path}`,
        });
      }
    }
  });
});

test.each(cases.filter(({ about }) => typeof about.config.learningRate === 'object'))(
  'the learning rates of $name',
  ({ about, get }) => {
    for (const schedule of schedulesOf(about.config.learningRate as never)) {
      const rates = Float64Array.from({ length: about.steps }, (_, step) => schedule(step));
      expectClose(rates, get('lr'), { op: 'schedule', dtype: 'float64' });
    }
  },
);

test.each(cases.filter(({ about }) => about.clipFormula))('the global norms of $name', async (golden) => {
  const norm = compile((tree: DeviceTree) => globalNorm(tree), { backend }) as unknown as (
    tree: HostTree,
  ) => Tensor;
  const norms: number[] = [];
  for (let step = 0; step < golden.about.steps; step++) {
    norms.push((await read(norm(toFloat32(golden.tree(`grads/${step}`))))).data[0] as number);
  }
  expectClose(norms, golden.get('norm'), { op: 'sum', dtype: 'float32', reduction: 17 });
});
