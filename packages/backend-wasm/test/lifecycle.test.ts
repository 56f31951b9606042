import { compile, fromNested, read, scalar, tensorCount, upload, withBackend } from '@tenon-ml/core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { wasm } from '../src/index.js';

const started: ReturnType<typeof wasm>[] = [];

async function start(): Promise<ReturnType<typeof wasm>> {
  const backend = wasm();
  started.push(backend);
  await backend.init();
  return backend;
}

afterEach(async () => {
  for (const backend of started.splice(0)) await backend.dispose();
});

const double = (x: tf.Tensor) => tf.add(x, x);

describe('init', () => {
  test('says what runs', async () => {
    const backend = wasm();
    started.push(backend);
    expect(await backend.init()).toEqual({
      name: 'wasm',
      device: 'CPU, WebAssembly SIMD, 1 thread',
      threads: 1,
      features: { kernels: 'wasm-simd' },
    });
    expect(backend.name).toBe('wasm');
    expect(backend.engineName).toBe('tenon-wasm');
  });

  test('again, and at the same time, is free', async () => {
    const backend = wasm();
    started.push(backend);
    await Promise.all([backend.init(), backend.init()]);
    const { engineName } = backend;
    const instance = tf.findBackend(engineName);
    await backend.init();
    expect(backend.engineName).toBe(engineName);
    expect(tf.findBackend(engineName)).toBe(instance);
    expect(
      tf
        .engine()
        .backendNames()
        .filter((name) => name.startsWith('tenon')),
    ).toEqual(['tenon-wasm']);
  });

  test('leaves the active backend of tfjs as it was', async () => {
    await tf.setBackend('cpu');
    const backend = await start();
    expect(tf.getBackend()).toBe('cpu');
    await backend.dispose();
    expect(tf.getBackend()).toBe('cpu');
  });

  test("brings every kernel that tfjs-backend-cpu has, and those of core's ops", async () => {
    const { engineName } = await start();
    const names = (backend: string) => tf.getKernelsForBackend(backend).map(({ kernelName }) => kernelName);
    expect(names(engineName)).toEqual(expect.arrayContaining([...names('cpu'), 'Choose', 'AdamMoments']));
    expect(names('cpu').length).toBeGreaterThan(160);
  });

  test.each([
    'Add',
    'BatchMatMul',
    'Cast',
    'Conv2D',
    'Conv2DBackpropFilter',
    'Conv2DBackpropInput',
    'FusedConv2D',
    'MaxPool',
    'MaxPoolGrad',
    'Mean',
    'Multiply',
    'RealDiv',
    'Relu',
    'Sqrt',
    'Step',
    'Sub',
    'Sum',
    '_FusedMatMul',
  ])('runs a kernel of its own for %s', async (name) => {
    const { engineName } = await start();
    const own = tf.getKernel(name, engineName);
    expect(own?.kernelFunc).toBeTypeOf('function');
    expect(own?.kernelFunc).not.toBe(tf.getKernel(name, 'cpu')?.kernelFunc);
  });

  test('prints nothing, where tfjs-backend-cpu greets', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    new MathBackendCPU().write(Float32Array.of(1), [1], 'float32');
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockClear();
    const [first, second] = [await start(), await start()];
    for (const backend of [first, second]) await read(compile(double, { backend })(scalar(1)));
    await first.dispose();
    await first.init();
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});

describe('before init and after dispose', () => {
  const unavailable = expect.objectContaining({ code: 'BACKEND_UNAVAILABLE' });

  test('a call is refused, also while another one runs', async () => {
    await start();
    const backend = wasm();
    expect(() => compile(double, { backend })(scalar(1))).toThrow(unavailable);
    await backend.init();
    await backend.dispose();
    expect(() => compile(double, { backend })(scalar(1))).toThrow(unavailable);
  });

  test('dispose without init, and twice, does nothing', async () => {
    const backend = wasm();
    await backend.dispose();
    await backend.init();
    await backend.dispose();
    await backend.dispose();
    expect(backend.engineName).toBe('');
  });

  test('init starts it afresh, and compiled functions work on', async () => {
    const backend = await start();
    const step = compile(double, { backend });
    const left = step(scalar(1));
    await backend.dispose();
    await backend.init();
    expect(() => step(left)).toThrow(expect.objectContaining({ code: 'TENSOR_CONSUMED' }));
    expect((await read(step(scalar(2)))).data[0]).toBe(4);
  });
});

describe('dispose', () => {
  test('frees everything that lives on it, and nothing else', async () => {
    const other = await start();
    const kept = upload(fromNested([1, 2]), other);
    const before = { tensors: tensorCount(), memory: tf.memory() };
    const backend = await start();
    const left = upload(fromNested([[1, 2, 3]]), backend);
    withBackend(backend, () => {
      tf.reshape(left, [3]);
      tf.cast(tf.tensor1d([1, 2], 'int32'), 'float32');
      tf.complex(tf.tensor1d([1, 2]), tf.tensor1d([3, 4]));
      tf.tensor1d(['a', 'bc']);
      tf.variable(tf.tensor1d([5]));
    });
    await backend.dispose();
    expect(tensorCount()).toBe(before.tensors);
    expect(tf.memory()).toEqual(before.memory);
    expect((await read(kept, { keep: true })).data).toEqual(Float32Array.of(1, 2));
    await expect(read(left)).rejects.toThrow('one whose backend was disposed');
    left.dispose();
    expect(tensorCount()).toBe(before.tensors);
  });

  test('takes backend and kernels out of tfjs', async () => {
    const backend = await start();
    const { engineName } = backend;
    expect(tf.getKernelsForBackend(engineName)).not.toEqual([]);
    await backend.dispose();
    expect(tf.engine().backendNames()).not.toContain(engineName);
    expect(tf.getKernelsForBackend(engineName)).toEqual([]);
  });
});

describe('two at a time', () => {
  test('have engines of their own, and refuse each other’s tensors', async () => {
    const [first, second] = [await start(), await start()];
    expect(first.engineName).not.toBe(second.engineName);
    const x = upload(fromNested([1, 2]), first);
    const mismatch = expect.objectContaining({ code: 'BACKEND_MISMATCH' });
    expect(() => compile(double, { backend: second })(x)).toThrow(mismatch);
    await second.dispose();
    expect((await read(compile(double, { backend: first })(x))).data).toEqual(Float32Array.of(2, 4));
  });
});

describe('storage', () => {
  test('what is read is a copy', async () => {
    const backend = await start();
    await withBackend(backend, async () => {
      const x = tf.tensor1d([1, 2, 3]);
      x.dataSync()[0] = 7;
      (await x.data())[1] = 7;
      expect([...x.dataSync()]).toEqual([1, 2, 3]);
      x.dispose();
    });
  });

  test('tensorScatterUpdate leaves its input alone, as tfjs-backend-cpu does not', async () => {
    const backend = await start();
    const x = withBackend(backend, () => {
      const tensor = tf.tensor1d([1, 2, 3]);
      tf.tensorScatterUpdate(tensor, tf.tensor2d([[0]], undefined, 'int32'), tf.tensor1d([9]));
      return tensor;
    });
    expect((await read(x)).data).toEqual(Float32Array.of(1, 2, 3));
  });

  test.each([
    ['float32', Float32Array],
    ['int32', Int32Array],
    ['bool', Uint8Array],
  ] as const)(
    'a tensor of %s is held in its own class of array, whatever it comes from',
    async (dtype, Class) => {
      const backend = await start();
      withBackend(backend, () => {
        const sources = [
          tf.tensor1d([0, 1]),
          tf.tensor1d([0, 1], 'int32'),
          tf.tensor1d([false, true], 'bool'),
        ];
        for (const source of sources) {
          const values = tf.cast(source, dtype).dataSync();
          expect(values).toBeInstanceOf(Class);
          expect([...values]).toEqual([0, 1]);
        }
      });
    },
  );

  test('an int32 that float32 does not hold is rounded by a cast', async () => {
    const backend = await start();
    withBackend(backend, () => {
      const x = tf.cast(tf.tensor1d([2 ** 24 + 1], 'int32'), 'float32');
      expect([...x.dataSync()]).toEqual([2 ** 24]);
    });
  });
});
