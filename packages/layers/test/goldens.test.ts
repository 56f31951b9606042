import '@tensorflow/tfjs-backend-cpu';
import {
  type AnyLayer,
  buildLayer,
  compile,
  createContext,
  type Device,
  type Json,
  type LayerSpec,
  type Leaf,
  labelsToProbabilities,
  type NdArray,
  type Params,
  read,
  sizeOf,
  softmaxCrossEntropyRows,
  tfjsBackend,
  treeEntries,
  valueAndGrad,
} from '@tenon-ml/core';
import {
  expectClose,
  type GoldenCase,
  type LayerGolden,
  loadGoldens,
  type OpFamily,
  toFloat32,
} from '@tenon-ml/testkit';
import { mean, mul, sum, type Tensor, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { layers } from '../src/all.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

type Named = { readonly [option: string]: Json };
type AnyParams = Params<Leaf>;

/** The layer that a case is about, by way of its spec. */
function layerOf({ about, name }: GoldenCase<LayerGolden>): AnyLayer {
  const { layer, config } = about;
  if (layer === 'sequential') {
    const entries = (config.layers as readonly Named[]).map(({ name, ...spec }) => [
      name,
      { version: 1, ...spec },
    ]);
    return buildLayer(
      { layer, version: 1, children: Object.fromEntries(entries) } as LayerSpec,
      layers,
      name,
    );
  }
  if (layer === 'residual') {
    const children = { body: { version: 1, ...(config.body as Named) } };
    return buildLayer({ layer, version: 1, children } as unknown as LayerSpec, layers, name);
  }
  return buildLayer({ layer, version: 1, ...config }, layers, name);
}

/** The row of the tolerance table, and the number of terms in a sum, of each result of a case. */
function toleranceOf(golden: GoldenCase<LayerGolden>, result: string): { op: OpFamily; reduction: number } {
  const { layer, config } = golden.about;
  const input = golden.get('input').shape;
  const output = golden.get('output').shape;
  // The sum behind a parameter's gradient runs over all positions of the output.
  const positions = sizeOf(output.slice(0, -1));
  switch (layer) {
    case 'dense':
    case 'conv2d':
    case 'residual': {
      const { kernelSize = [1, 1] } = (layer === 'residual' ? config.body : config) as {
        kernelSize?: number[];
      };
      if (result.endsWith('bias')) return { op: 'sum', reduction: positions };
      if (result.endsWith('kernel')) return { op: 'product', reduction: positions };
      const inner = result === 'output' ? input[input.length - 1] : output[output.length - 1];
      return { op: 'product', reduction: sizeOf(kernelSize) * inner };
    }
    case 'avgPool2d':
      return { op: 'sum', reduction: sizeOf(config.poolSize as number[]) };
    case 'maxPool2d':
      // The gradient is selected, and added up where windows overlap.
      return result === 'output'
        ? { op: 'exact', reduction: 1 }
        : { op: 'sum', reduction: sizeOf(config.poolSize as number[]) };
    case 'batchNorm':
      return { op: 'normalization', reduction: golden.about.training ? positions : 1 };
    case 'gelu':
      return { op: 'transcendental', reduction: 1 };
    case 'embedding':
      // Rows are picked, and their gradients added up, once for each place of an id.
      return result === 'output' ? { op: 'exact', reduction: 1 } : { op: 'sum', reduction: positions };
    case 'positionEmbedding':
      return { op: 'sum', reduction: result === 'table' ? input[0] : 1 };
    case 'layerNorm': {
      const overRows = result === 'scale' || result === 'bias';
      return { op: 'normalization', reduction: overRows ? positions : input[input.length - 1] };
    }
    case 'globalAvgPool2d':
      return { op: 'sum', reduction: input[1] * input[2] };
    case 'softmax':
      return { op: 'transcendental', reduction: output[output.length - 1] };
    case 'sigmoid':
    case 'tanh':
      return { op: 'transcendental', reduction: 1 };
    case 'relu':
    case 'flatten':
      return { op: 'exact', reduction: 1 };
    default:
      return { op: 'network', reduction: 1 };
  }
}

function expectTree(actual: object, golden: GoldenCase<LayerGolden>, prefix: string): void {
  const got = treeEntries<NdArray>(actual as Params<NdArray>);
  const wanted = golden.paths(prefix);
  expect(got.map(([path]) => path).sort(), prefix).toEqual(Object.keys(wanted).sort());
  for (const [path, value] of got) {
    expectClose(value, wanted[path], {
      ...toleranceOf(golden, path),
      name: `${golden.name}, ${prefix}/${path}`,
    });
  }
}

const goldens = loadGoldens('layers');

describe('agrees with PyTorch in float64', () => {
  test.each(goldens.map((golden) => [golden.name, golden] as const))('%s', async (name, golden) => {
    const layer = layerOf(golden);
    const forward = (params: Device<AnyParams>, state: Device<AnyParams>, x: Tensor) =>
      layer.apply(params, state, x, createContext({ training: golden.about.training }));
    const step = compile(
      (params: Device<AnyParams>, state: Device<AnyParams>, input: Tensor, target: Tensor) =>
        valueAndGrad(
          ({ p, x = input }: { readonly p: Device<AnyParams>; readonly x?: Tensor }) => {
            const applied = forward(p, state, x);
            const output = applied.output as Tensor;
            const value = golden.about.loss
              ? mean(
                  softmaxCrossEntropyRows(
                    output as Tensor2D,
                    labelsToProbabilities(target as Tensor1D, output.shape[1] as number),
                  ),
                )
              : sum(mul(output, target));
            return [value, { output, state: applied.state }];
          },
          { aux: true },
        )(input.dtype === 'float32' ? { p: params, x: input } : { p: params }),
      { backend, name },
    );
    const target = golden.about.loss ? golden.integers('labels') : toFloat32(golden.get('output_grad'));
    const result = step(
      toFloat32(golden.tree('params')),
      toFloat32(golden.tree('state')),
      toFloat32(golden.get('input')),
      target,
    );
    const { value, grads, aux } = await read(result);
    expectClose(aux.output as NdArray, golden.floats('output'), {
      ...toleranceOf(golden, 'output'),
      name: `${name}, output`,
    });
    expect(golden.has('input_grad')).toBe('x' in grads);
    if (grads.x) {
      expectClose(grads.x, golden.floats('input_grad'), {
        ...toleranceOf(golden, 'input_grad'),
        name: `${name}, input_grad`,
      });
    }
    expectTree(grads.p, golden, 'params_grad');
    expectTree(aux.state, golden, 'state_after');
    if (golden.about.loss)
      expectClose(value, golden.floats('loss'), { op: 'network', name: `${name}, loss` });
  });

  test('of every layer there is a golden', () => {
    const covered = new Set(goldens.map(({ about }) => about.layer));
    // Its mask is ours: dropout.test.ts checks its statistics.
    covered.add('dropout');
    expect([...covered].sort()).toEqual(Object.keys(layers.layers).sort());
  });
});
