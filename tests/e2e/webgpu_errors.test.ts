import { webgpu } from '@tenon-ml/backend-webgpu';
import {
  type Backend,
  compile,
  fromNested,
  type NdArray,
  read,
  release,
  scalar,
  tensorCount,
  upload,
} from '@tenon-ml/core';
import { fill, mul, square, type Tensor, tile } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HeldGpu, hasGpu, holdGpu } from './gpu.js';

describe.skipIf(!hasGpu)('what goes wrong on the GPU', () => {
  let held: HeldGpu;
  let backend: Backend & { memory: NonNullable<Backend['memory']> };
  let double: (x: Tensor | NdArray) => Tensor;
  beforeAll(async () => {
    held = await holdGpu();
    backend = webgpu({ gpu: held.gpu }) as typeof backend;
    await backend.init();
    double = compile((x: Tensor) => mul(x, 2), { backend });
  });
  afterAll(() => backend.dispose());

  /** Whether it computes, eagerly, watched and replayed. */
  async function expectWorking(): Promise<void> {
    for (let i = 1; i <= 4; i++) expect((await read(double(fromNested([i, 3])))).data[0]).toBe(2 * i);
  }

  test.each([
    ['of a kernel of ours', (x: Tensor, length: number) => square(tile(x, [length]))],
    ['of tfjs’s', (x: Tensor, length: number) => mul(x, fill([length], 1))],
  ])('a result beyond its largest buffer, %s: OUT_OF_MEMORY at once, and it works on', async (_, f) => {
    const { maxBufferSize, maxStorageBufferBindingSize } = held.device.limits;
    const most = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    const x = upload(fromNested([1]), backend);
    const tensors = tensorCount();
    let inUse: number | undefined;
    const huge = compile((one: Tensor) => f(one, most / 4 + 1), { backend, name: 'huge' });
    for (let i = 0; i < 3; i++) {
      expect(() => huge(x)).toThrow(
        expect.objectContaining({
          code: 'OUT_OF_MEMORY',
          message: `webgpu: a tensor of ${most + 4} bytes is larger than a buffer of this GPU may be (${most} bytes). Use a smaller batch.`,
        }),
      );
      // What is given goes to the GPU with the first call.
      inUse ??= backend.memory().inUse;
      expect([tensorCount(), backend.memory().inUse]).toEqual([tensors, inUse]);
    }
    release(x);
    await expectWorking();
  });

  test('a command that it refuses: an error of the next read, once', async () => {
    const x = upload(scalar(1), backend);
    // Mapping for reading and for writing at once.
    held.device.createBuffer({ size: 16, usage: 0x3 });
    await expect(read(double(x))).rejects.toMatchObject({
      code: 'BACKEND_FAILED',
      message: expect.stringMatching(
        /^webgpu: the GPU refused a command: .* please report it, with the model\.$/s,
      ),
    });
    release(x);
    await expectWorking();
  });

  test('a failure while a call is being watched is not lost', async () => {
    const triple = compile(
      (x: Tensor) => {
        held.device.createBuffer({ size: 16, usage: 0x3 });
        return mul(x, 3);
      },
      { backend },
    );
    await expect(read(triple(scalar(1)))).rejects.toMatchObject({ code: 'BACKEND_FAILED' });
    await expectWorking();
  });

  test('a synchronous read in Node says what to do instead', async () => {
    const x = double(fromNested([1, 2]));
    const message =
      'webgpu: values on a GPU can’t be read synchronously here. Use `await tensor.data()`, or run this on wasm.';
    const refused = expect.objectContaining({ code: 'BACKEND_FAILED', message });
    expect(() => x.dataSync()).toThrow(refused);
    const peeks = compile((y: Tensor) => mul(y, y.dataSync()[0]), { backend });
    expect(() => peeks(x)).toThrow(refused);
    expect([...(await x.data())]).toEqual([2, 4]);
    release(x);
    await expectWorking();
  });
});
