import { sizeOf } from '@tenon-ml/core';
import { describe, expect, test } from 'vitest';
import {
  allowedDifference,
  expectClose,
  type GoldenCase,
  type GoldenFamilies,
  loadGolden,
  loadGoldens,
  type OptimizerGolden,
  toFloat32,
} from '../src/index.js';

const families: (keyof GoldenFamilies)[] = [
  'layers',
  'losses',
  'optimizers',
  'metrics',
  'explanations',
  'scaling',
];

function anyCases(family: keyof GoldenFamilies): readonly GoldenCase<unknown>[] {
  return loadGoldens(family);
}

describe.each(families)('%s', (family) => {
  const cases = anyCases(family);

  test('has cases of distinct names, each with tensors', () => {
    expect(cases.length).toBeGreaterThan(3);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    for (const { name, names } of cases) expect(names.length, name).toBeGreaterThan(0);
  });

  test('has finite float64 numbers and int32 only, as many as the shapes say', () => {
    for (const one of cases) {
      for (const name of one.names) {
        const array = one.get(name);
        expect(['float64', 'int32']).toContain(array.dtype);
        expect(array.data.length, `${one.name}/${name}`).toBe(sizeOf(array.shape));
        expect(Array.from(array.data, Number).every(Number.isFinite), `${one.name}/${name}`).toBe(true);
      }
    }
  });
});

describe('the loader', () => {
  test('gives tensors by name, by path and as a tree', () => {
    const network = loadGolden('layers', 'sequential');
    expect(network.about.layer).toBe('sequential');
    expect(network.about.loss).toBe('softmaxCrossEntropy');
    expect(Object.keys(network.paths('params')).sort()).toEqual([
      'conv2d_1.bias',
      'conv2d_1.kernel',
      'conv2d_2.bias',
      'conv2d_2.kernel',
      'dense_1.bias',
      'dense_1.kernel',
    ]);
    expect(network.tree('params')).toMatchObject({ conv2d_1: { kernel: { shape: [3, 3, 1, 4] } } });
    expect(network.has('loss')).toBe(true);
    expect(network.has('params')).toBe(false);
    expect(network.paths('state')).toEqual({});
    expect(network.integers('labels').shape).toEqual([2]);
  });

  test('says what there is where a name is wrong', () => {
    expect(() => loadGolden('layers', 'convolution')).toThrow(
      /no golden layers\/convolution; there are dense,/,
    );
    const dense = loadGolden('layers', 'dense');
    expect(() => dense.get('params/weight')).toThrow(
      /layers\/dense has no params\/weight; it has .*params\/kernel/,
    );
    expect(() => loadGolden('layers', 'sequential').floats('labels')).toThrow('is int32, not float64');
    expect(() => dense.integers('input')).toThrow('layers/dense/input is float64, not int32');
  });

  test('converts values and trees to float32, without loss where a case begins', () => {
    for (const one of loadGoldens('layers')) {
      // Those of embeddings are indices.
      if (one.get('input').dtype !== 'float64') continue;
      const input = one.floats('input');
      const single = toFloat32(input);
      expect(single.dtype).toBe('float32');
      expect(Array.from(single.data, Number), one.name).toEqual([...input.data]);
    }
    const tree = toFloat32(loadGolden('layers', 'sequential').tree('params'));
    expect(tree).toMatchObject({ dense_1: { bias: { dtype: 'float32', shape: [10] } } });
    const labels = loadGolden('losses', 'softmax_labels').integers('target');
    expect(toFloat32(labels)).toBe(labels);
  });
});

// Small references of our own: they show that a golden means what the README says, and that the float32 row of the
// table tells it from the formula that is most easily written by mistake.

interface AdamVariant {
  /** Adds epsilon before the correction of the second moment, as the paper's efficient version does. */
  readonly epsilonBeforeCorrection?: boolean;
  readonly withoutCorrection?: boolean;
  /** Adds the decay to the gradient. */
  readonly coupled?: boolean;
}

function adamLast(
  golden: GoldenCase<OptimizerGolden>,
  path: string,
  variant: AdamVariant = {},
): Float64Array {
  const { beta1, beta2, epsilon, weightDecay = 0 } = golden.about.config as Record<string, number>;
  const rates = golden.floats('lr').data;
  const p = Float64Array.from(golden.floats(`initial/${path}`).data);
  const m = new Float64Array(p.length);
  const v = new Float64Array(p.length);
  for (let step = 0; step < golden.about.steps; step++) {
    const given = golden.floats(`grads/${step}/${path}`).data;
    const first = variant.withoutCorrection ? 1 : 1 - beta1 ** (step + 1);
    const second = variant.withoutCorrection ? 1 : 1 - beta2 ** (step + 1);
    for (let i = 0; i < p.length; i++) {
      const g = given[i] + (variant.coupled ? weightDecay * p[i] : 0);
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      const root = variant.epsilonBeforeCorrection
        ? (Math.sqrt(v[i]) + epsilon) / Math.sqrt(second)
        : Math.sqrt(v[i] / second) + epsilon;
      const decay = variant.coupled ? 0 : rates[step] * weightDecay * p[i];
      p[i] -= decay + (rates[step] * (m[i] / first)) / root;
    }
  }
  return p;
}

function lastOf(golden: GoldenCase<OptimizerGolden>, path: string): Float64Array {
  return golden.floats(`params/${golden.about.steps - 1}/${path}`).data;
}

describe('what the goldens tell apart', () => {
  const optimizer = { op: 'optimizer', reduction: 20 } as const;
  const single = { ...optimizer, dtype: 'float32' } as const;

  test.each([
    'adam',
    'adam_other_betas',
    'adam_epsilon',
    'adamw',
    'adamw_strong_decay',
    'adamw_warmup_cosine',
  ])('%s is Adam by the formula, to float64', (name) => {
    const golden = loadGolden('optimizers', name);
    for (const path of ['a', 'b.c']) {
      expectClose(adamLast(golden, path), lastOf(golden, path), { ...optimizer, dtype: 'float64' });
    }
  });

  test.each<[string, AdamVariant, string]>([
    ['where epsilon stands', { epsilonBeforeCorrection: true }, 'adam_epsilon'],
    ['bias correction', { withoutCorrection: true }, 'adam'],
    ['decoupled decay', { coupled: true }, 'adamw_strong_decay'],
  ])('%s, by a hundred times what float32 is allowed', (_, variant, name) => {
    const golden = loadGolden('optimizers', name);
    const reference = lastOf(golden, 'a');
    const difference = Math.max(...adamLast(golden, 'a', variant).map((v, i) => Math.abs(v - reference[i])));
    expect(difference).toBeGreaterThan(100 * allowedDifference(reference, single));
  });

  test("torch's 10⁻⁶ in clipping is within what float32 is allowed", () => {
    for (const name of ['sgd_clip', 'adam_clip']) {
      const plain = loadGolden('optimizers', `${name}_formula`);
      const torch = loadGolden('optimizers', `${name}_torch`);
      expect(torch.about.clipFormula).toBe('torch');
      const maxNorm = plain.about.config.clipByGlobalNorm as number;
      const clipped = [...plain.floats('norm').data].filter((norm) => norm > maxNorm);
      expect(clipped.length).toBeGreaterThan(2);
      const scales = clipped.map((norm) => [maxNorm / norm, maxNorm / (norm + 1e-6)]);
      for (const [exact, shifted] of scales) expectClose(shifted, exact, { ...single, reduction: 4 });
    }
  });

  test("biased from unbiased variance in batch norm's state", () => {
    const golden = loadGolden('layers', 'batch_norm_rank_2');
    const momentum = golden.about.config.momentum as number;
    const { data, shape } = golden.floats('input');
    const [n, channels] = shape;
    const running = (divisor: number): Float64Array =>
      golden.floats('state/variance').data.map((old, c) => {
        const column = Array.from({ length: n }, (_, i) => data[i * channels + c]);
        const mean = column.reduce((a, b) => a + b) / n;
        const squares = column.reduce((total, x) => total + (x - mean) ** 2, 0);
        return momentum * old + ((1 - momentum) * squares) / divisor;
      });
    const after = golden.get('state_after/variance');
    expectClose(running(n - 1), after, { op: 'normalization', dtype: 'float64', reduction: n });
    const options = { op: 'normalization', dtype: 'float32', reduction: n } as const;
    expect(() => expectClose(running(n), after, options)).toThrow(/worst/);
  });

  test('counted from uncounted padding in average pooling', () => {
    // One window beyond each edge of a 5 × 4 input; 3 × 3 windows of stride 1.
    const golden = loadGolden('layers', 'avg_pool2d_stride_1_same');
    const [, height, width, channels] = golden.floats('input').shape;
    const input = golden.floats('input').data;
    const pooled = (countPadding: boolean): number[] => {
      const out: number[] = [];
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          for (let c = 0; c < channels; c++) {
            let total = 0;
            let cells = 0;
            for (let j = Math.max(0, y - 1); j <= Math.min(height - 1, y + 1); j++) {
              for (let i = Math.max(0, x - 1); i <= Math.min(width - 1, x + 1); i++) {
                total += input[(j * width + i) * channels + c];
                cells++;
              }
            }
            out.push(total / (countPadding ? 9 : cells));
          }
        }
      }
      return out;
    };
    expectClose(pooled(false), golden.get('output'), { op: 'sum', dtype: 'float64', reduction: 9 });
    const options = { op: 'sum', dtype: 'float32', reduction: 9 } as const;
    expect(() => expectClose(pooled(true), golden.get('output'), options)).toThrow(/worst/);
  });

  test('a convolution with HWIO kernels over NHWC images, padded at the end', () => {
    // Height 8 and width 10 with stride 2 and kernel 3: the one cell of padding stands at the end.
    const golden = loadGolden('layers', 'conv2d_strided_same_even');
    const [, height, width] = golden.floats('input').shape;
    const [kh, kw, , filters] = golden.floats('params/kernel').shape;
    const input = golden.floats('input').data;
    const kernel = golden.floats('params/kernel').data;
    const bias = golden.floats('params/bias').data;
    const out: number[] = [];
    for (let y = 0; y < height; y += 2) {
      for (let x = 0; x < width; x += 2) {
        for (let f = 0; f < filters; f++) {
          let total = bias[f];
          for (let j = 0; j < kh && y + j < height; j++) {
            for (let i = 0; i < kw && x + i < width; i++) {
              total += input[(y + j) * width + x + i] * kernel[(j * kw + i) * filters + f];
            }
          }
          out.push(total);
        }
      }
    }
    expectClose(out, golden.get('output'), { op: 'product', dtype: 'float64', reduction: kh * kw });
  });

  test('class averages over all classes from those over classes that occur', () => {
    const golden = loadGolden('metrics', 'seven_absent_everywhere');
    const perClass = golden.floats('plain/f1/none').data;
    const sum = perClass.reduce((a, b) => a + b);
    expectClose(sum / 7, golden.get('plain/f1/macro'), { op: 'metric', dtype: 'float64' });
    expectClose(sum / 5, golden.get('plain/f1/macro_present'), { op: 'metric', dtype: 'float64' });
  });

  test('metrics come with batches that add up', () => {
    for (const golden of loadGoldens('metrics')) {
      const total = golden.about.batchSizes.reduce((a, b) => a + b);
      expect(total, golden.name).toBe(golden.floats('weights').shape[0]);
    }
  });
});
