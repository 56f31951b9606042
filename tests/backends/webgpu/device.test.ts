import { webgpu } from '@tenon-ml/backend-webgpu';
import { compile, read, release, scalar } from '@tenon-ml/core';
import {
  browser,
  engine,
  findBackend,
  type KernelBackend,
  registerBackend,
  removeBackend,
  square,
  type Tensor,
} from '@tensorflow/tfjs-core';
import { describe, expect, onTestFinished, test } from 'vitest';

const inPage = typeof window !== 'undefined';

type Options = NonNullable<Parameters<typeof webgpu>[0]>;

/** The parts of the backend's own object that these tests reach into. */
interface Inner {
  readonly device: GPUDevice;
  createTensorFromGPUData(
    data: { readonly buffer: GPUBuffer; readonly zeroCopy?: boolean },
    shape: readonly number[],
    dtype: 'float32',
  ): Tensor;
  readonly commands: { encoder(): GPUCommandEncoder; submit(): void };
  readonly profiler: {
    begin(names: readonly string[]):
      | {
          pass(k: number): GPUComputePassDescriptor;
          resolve(encoder: GPUCommandEncoder): void;
          report(): Promise<void>;
        }
      | undefined;
  };
}

async function start(options: Options = {}) {
  const backend = webgpu(options);
  await backend.init();
  onTestFinished(() => backend.dispose());
  return { backend, inner: findBackend(backend.engineName) as unknown as Inner };
}

describe('the GPU’s profile', () => {
  test('holds more dispatches than one query set has entries', async ({ skip }) => {
    const times: number[] = [];
    const { inner } = await start({ profile: (_, milliseconds) => times.push(milliseconds) });
    const timed = inner.profiler.begin(Array(2500).fill('nothing'));
    if (!timed) return skip('this device has no timestamps');
    const encoder = inner.commands.encoder();
    for (let k = 0; k < 2500; k++) encoder.beginComputePass(timed.pass(k)).end();
    timed.resolve(encoder);
    inner.commands.submit();
    await timed.report();
    expect(times).toHaveLength(2500);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(0);
  });

  if (!inPage)
    test('of a GPU that goes away meanwhile is nobody’s; the next call throws', async () => {
      const unhandled: unknown[] = [];
      const note = (event: unknown): void => void unhandled.push(event);
      process.on('unhandledRejection', note);
      onTestFinished(() => void process.off('unhandledRejection', note));
      const { backend, inner } = await start({ profile: () => {} });
      const f = compile((x: Tensor) => square(x), { backend });
      for (let i = 0; i < 3; i++) await read(f(scalar(i)));
      release(f(scalar(3)));
      inner.device.destroy();
      await inner.device.lost;
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(unhandled).toEqual([]);
      expect(() => f(scalar(4))).toThrow('the GPU is gone');
    });
});

describe('what others have on the GPU', () => {
  test.each([true, false])('a buffer becomes a tensor, and stays theirs (zeroCopy: %s)', async (zeroCopy) => {
    const { backend, inner } = await start({ record: false });
    const { device } = inner;
    // STORAGE, COPY_SRC, COPY_DST
    const buffer = device.createBuffer({ size: 16, usage: 0x80 | 0x4 | 0x8 });
    device.queue.writeBuffer(buffer, 0, new Float32Array([1, 2, 3, 4]));
    const f = compile((x: Tensor) => square(x), { backend });
    for (let i = 0; i < 2; i++) {
      const x = inner.createTensorFromGPUData({ buffer, zeroCopy }, [4], 'float32');
      const y = f(x);
      x.dispose();
      expect([...(await read(y)).data]).toEqual([1, 4, 9, 16]);
    }
  });

  if (inPage)
    test('the pixels of a canvas are read', async () => {
      const { backend } = await start();
      const canvas = new OffscreenCanvas(2, 1);
      const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
      const load = compile(() => browser.fromPixels(canvas as never), { backend });
      for (const color of [255, 0, 51, 102]) {
        context.fillStyle = `rgb(${color}, 0, 0)`;
        context.fillRect(0, 0, 1, 1);
        context.fillStyle = 'rgb(0, 10, 20)';
        context.fillRect(1, 0, 1, 1);
        expect([...(await read(load())).data]).toEqual([color, 0, 0, 0, 10, 20]);
      }
      expect(load.explain().mode).toBe('eager');
    });
});

describe('starting', () => {
  test('says that there is no GPU where looking for one fails', async () => {
    const gpu = { requestAdapter: () => Promise.reject(new Error('no instance')) };
    await expect(webgpu({ gpu }).init()).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining('no instance'),
    });
  });

  test('leaves the backend that tfjs picks by itself as it was', async () => {
    registerBackend('their-own', () => ({}) as KernelBackend, 1);
    onTestFinished(() => removeBackend('their-own'));
    await start();
    const { registryFactory } = engine() as unknown as {
      registryFactory: { readonly [name: string]: { readonly priority: number } };
    };
    const highest = Math.max(...Object.values(registryFactory).map(({ priority }) => priority));
    expect(registryFactory['their-own'].priority).toBe(highest);
  });
});
