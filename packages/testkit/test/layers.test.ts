import {
  defineLayer,
  type Layer,
  type LayerSpec,
  type Leaf,
  type None,
  type Registry,
  type TensorSpec,
  zeros,
} from '@tenon-ml/core';
import { add, keep, mul, scalar, sub, type Tensor, tensor1d, zerosLike } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { checkLayer } from '../src/layers.js';

type Kernel = Layer<{ readonly kernel: Leaf }, None>;
type Parts = { -readonly [P in keyof Kernel]: Kernel[P] };

const input: TensorSpec = { dtype: 'float32', shape: [null, 3] };

/** y = x · kernel, element by element, as the contract wants it, but for what `change` does to it. */
function layerOf(change: (parts: Parts, spec: LayerSpec) => void = () => {}): {
  readonly layer: Kernel;
  readonly registry: Registry;
} {
  const make = (spec: LayerSpec): Kernel => {
    const parts: Parts = {
      spec: Object.freeze(spec),
      init: (key, { shape, dtype }) => ({
        params: { kernel: key.normal([Number(shape[1]) * Number(spec.factor ?? 1)]) },
        state: {},
        output: { shape, dtype },
      }),
      apply: ({ kernel }, state, x) => ({ output: mul(x, kernel), state }),
    };
    change(parts, spec);
    return Object.freeze(parts);
  };
  const build = (spec: LayerSpec): Kernel => make({ ...spec });
  const layer = make({ layer: 'scaled', version: 1, factor: 1 });
  return {
    layer,
    registry: { layers: { scaled: defineLayer({ name: 'scaled', version: 1, build }) }, transforms: {} },
  };
}

const check = ({ layer, registry }: ReturnType<typeof layerOf>): Promise<void> =>
  checkLayer(layer, input, { registry });

test('accepts a layer that keeps the contract', () => check(layerOf()));

test('refuses layers that are not frozen', async () => {
  const { layer, registry } = layerOf();
  await expect(check({ layer: { ...layer }, registry })).rejects.toThrow('the layer is frozen');
  const loose = Object.freeze({ ...layer, spec: { ...layer.spec } });
  await expect(check({ layer: loose, registry })).rejects.toThrow('spec is frozen');
  const holder = Object.freeze({ ...layer, children: { inner: layer } });
  await expect(check({ layer: holder, registry })).rejects.toThrow('children are frozen');
});

test('refuses specs that lose something in JSON', async () => {
  const { layer, registry } = layerOf();
  for (const factor of [undefined, Number.POSITIVE_INFINITY]) {
    const spec = Object.freeze({ ...layer.spec, factor }) as LayerSpec;
    const lossy = Object.freeze({ ...layer, spec });
    await expect(check({ layer: lossy, registry })).rejects.toThrow('the spec, through JSON');
  }
});

test('refuses a registry that builds another layer', async () => {
  const { layer } = layerOf();
  const { registry } = layerOf((parts) => {
    parts.apply = ({ kernel }, state, x) => ({ output: mul(add(x, 1), kernel), state });
  });
  await expect(check({ layer, registry })).rejects.toThrow('output of the rebuilt layer');
});

test('refuses an init that varies, or that leaves tensors behind', async () => {
  let calls = 0;
  const varying = layerOf((parts) => {
    const { init } = parts;
    parts.init = (key, spec, path) => init(key.foldIn(calls++), spec, path);
  });
  await expect(check(varying)).rejects.toThrow('params of a second init');
  const leaking = layerOf((parts) => {
    const { init } = parts;
    parts.init = (key, spec, path) => {
      keep(tensor1d([1]));
      return init(key, spec, path);
    };
  });
  await expect(check(leaking)).rejects.toThrow('tensors made by init');
});

test('refuses outputs that init did not promise', async () => {
  const wrong = layerOf((parts) => {
    const { init } = parts;
    parts.init = (key, spec, path) => ({
      ...init(key, spec, path),
      output: { dtype: 'float32', shape: [null, 4] },
    });
  });
  await expect(check(wrong)).rejects.toThrow('init promised float32 [batch, 4]');
  const fixed = layerOf((parts) => {
    const { init } = parts;
    parts.init = (key, spec, path) => ({
      ...init(key, spec, path),
      output: { dtype: 'float32', shape: [2, 3] },
    });
  });
  await expect(check(fixed)).rejects.toThrow('output  is float32 [3, 3], init promised float32 [2, 3]');
});

test('refuses calls that do not repeat', async () => {
  let calls = 0;
  const counting = layerOf((parts) => {
    parts.apply = ({ kernel }, state, x) => ({ output: mul(x, add(kernel, calls++)), state });
  });
  await expect(check(counting)).rejects.toThrow('output of a second call');
});

test('refuses states that change their shape, or change out of training', async () => {
  const growing = layerOf((parts) => {
    parts.apply = ({ kernel }, _state, x) => ({
      output: mul(x, kernel),
      state: { extra: scalar(1) } as never,
    });
  });
  await expect(check(growing)).rejects.toThrow('state');
  const drifting = layerOf((parts) => {
    const { init } = parts;
    parts.init = (key, spec, path) => ({ ...init(key, spec, path), state: { steps: zeros([]) } as never });
    parts.apply = ({ kernel }, state, x) => {
      const { steps } = state as unknown as { readonly steps: Tensor };
      return { output: mul(x, kernel), state: { steps: add(steps, 1) } as never };
    };
  });
  await expect(check(drifting)).rejects.toThrow('evaluation, batch 2: state');
});

test('refuses gradients that are not finite', async () => {
  const singular = layerOf((parts) => {
    parts.apply = ({ kernel }, state, x) => {
      const zero = zerosLike(kernel);
      return { output: add(mul(x, kernel), mul(zero, mul(sub(kernel, kernel), Number.NaN))), state };
    };
  });
  await expect(check(singular)).rejects.toThrow('gradient of kernel is finite');
});

test('refuses containers that show nothing of their children', async () => {
  const inner = layerOf();
  const holder = Object.freeze({ ...inner.layer, children: Object.freeze({ inner: inner.layer }) });
  await expect(check({ layer: holder, registry: inner.registry })).rejects.toThrow('taps');
});

test('refuses empty nodes among the parameters', async () => {
  const hollow = layerOf((parts) => {
    const { init } = parts;
    parts.init = (key, spec, path) => {
      const made = init(key, spec, path);
      return { ...made, params: { ...made.params, nothing: {} } };
    };
  });
  await expect(check(hollow)).rejects.toThrow('params.nothing has no empty node');
});
