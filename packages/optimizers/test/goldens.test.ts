import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  type Optimizer,
  type Params,
  read,
  type Schedule,
  scalar,
  tfjsBackend,
} from '@tenon-ml/core';
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
  sgd,
  stepDecay,
  withWarmup,
} from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(async () => {
  await backend.init();
});

const optimizers = { sgd, adagrad, adam, adamw } as const;

/** The schedule of a golden's config; the warm-up in two ways, which must agree. */
function schedulesOf(config: Record<string, number | string>): Schedule[] {
  const n = (name: string): number => Number(config[name]);
  switch (config.schedule) {
    case 'step':
      return [stepDecay({ initial: n('initial'), every: n('stepSize'), factor: n('factor') })];
    case 'cosine':
      return [cosineDecay({ peak: n('initial'), steps: n('steps'), end: n('end') })];
    case 'warmupCosine': {
      const steps = n('warmupSteps') + n('cosineSteps');
      const after = cosineDecay({ peak: n('peak'), steps: n('cosineSteps'), end: n('end') });
      return [
        cosineDecay({ peak: n('peak'), warmup: n('warmupSteps'), steps, end: n('end') }),
        withWarmup(after, n('warmupSteps')),
      ];
    }
    default:
      throw new Error(`no schedule ${config.schedule}`);
  }
}

function optimizerOf({ about }: GoldenCase<OptimizerGolden>): Optimizer {
  const { clipByGlobalNorm: maxNorm, learningRate, ...options } = about.config as Record<string, never>;
  const rate = typeof learningRate === 'number' ? learningRate : schedulesOf(learningRate)[0];
  const make = optimizers[about.optimizer] as (options: object) => Optimizer;
  const inner = make({ ...options, learningRate: rate });
  return maxNorm === undefined ? inner : chain(clipByGlobalNorm(maxNorm), inner);
}

const cases = loadGoldens('optimizers');

describe('20 steps of PyTorch in float64', () => {
  test.each(cases)('$name', async (golden) => {
    const optimizer = optimizerOf(golden);
    const step = compile(
      (
        params: Params<Tensor>,
        state: Params<Tensor>,
        given: { grads?: Params<Tensor>; curvature?: Params<Tensor>; center?: Params<Tensor> },
        scalars: { [name: string]: Tensor },
      ) => {
        const at = (tree: unknown, path: string): Tensor =>
          path
            .split('.')
            .reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], tree) as Tensor;
        const gradient = (path: string): Tensor =>
          given.grads
            ? at(given.grads, path)
            : mul(at(given.curvature, path), sub(at(params, path), at(given.center, path)));
        const grads = { a: gradient('a'), b: { c: gradient('b.c') } };
        return optimizer.update(grads, state, params, scalars);
      },
      { backend, donate: [0, 1] },
    );
    const initial = toFloat32(golden.tree('initial'));
    let carried: { params: never; state: never } = {
      params: initial,
      state: optimizer.init(initial),
    } as never;
    for (let s = 0; s < golden.about.steps; s++) {
      const given =
        golden.about.objective === 'quadratic'
          ? { curvature: toFloat32(golden.tree('curvature')), center: toFloat32(golden.tree('center')) }
          : { grads: toFloat32(golden.tree(`grads/${s}`)) };
      const numbers = Object.entries(optimizer.scalars(s)).map(
        ([name, value]) => [name, scalar(value)] as const,
      );
      carried = step(
        carried.params,
        carried.state,
        given as never,
        Object.fromEntries(numbers) as never,
      ) as never;
      const params = (await read(carried.params as Params<Tensor>, { keep: true })) as never as {
        a: never;
        b: { c: never };
      };
      const options = { op: 'optimizer', reduction: s + 1 } as const;
      const reference = golden.paths(`params/${s}`);
      expectClose(params.a, reference.a, { ...options, name: `step ${s}, a` });
      expectClose(params.b.c, reference['b.c'], { ...options, name: `step ${s}, b.c` });
    }
    await read(carried as unknown as Params<Tensor>);
  });
});

test.each(cases.filter(({ about }) => typeof about.config.learningRate === 'object'))(
  'the learning rates of $name',
  ({ about, get }) => {
    for (const schedule of schedulesOf(about.config.learningRate as never)) {
      const rates = Float64Array.from({ length: about.steps }, (_, s) => schedule(s));
      expectClose(rates, get('lr'), { op: 'schedule', dtype: 'float64' });
    }
    expect(get('lr').data).toHaveLength(about.steps);
  },
);
