import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BufferPool, sizeClass } from '../src/pool.js';
import { fakeDevice, fakeLimits } from './fake_gpu.js';

const slack = 1 << 16;

function startPool() {
  const device = fakeDevice();
  return { pool: new BufferPool(device.gpu, () => {}, slack), device };
}

test('a buffer that was released is the next one of its size; one that is in use is not', () => {
  const { pool } = startPool();
  const [a, b] = [pool.acquire(1000), pool.acquire(1000)];
  expect(b).not.toBe(a);
  pool.release(a);
  expect(pool.reacquire(b)).toBe(false);
  expect(pool.acquire(1001)).toBe(a);
  pool.release(b);
  expect(pool.reacquire(b)).toBe(true);
  expect(pool.acquire(1000)).not.toBe(b);
  expect(pool).toMatchObject({ inUse: 3 * 1024, peak: 3 * 1024, allocated: 3 * 1024 });
});

test('its books are those of the device, and free buffers never pile up beyond what was in use', () => {
  const action = fc.record({ bytes: fc.integer({ min: 0, max: 1 << 18 }), keep: fc.nat(3) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const { pool, device } = startPool();
      const held: GPUBuffer[] = [];
      for (const { bytes, keep } of actions) {
        const buffer = pool.acquire(bytes);
        expect(held).not.toContain(buffer);
        expect(buffer.size).toBeGreaterThanOrEqual(bytes);
        expect(buffer.size).toBeLessThanOrEqual(Math.max(256, 1.125 * bytes));
        held.push(buffer);
        while (held.length > keep) pool.release(held.shift() as GPUBuffer);
        const live = device.sizes().reduce((total, size) => total + size, 0);
        expect(pool.allocated).toBe(live);
        expect(pool.inUse).toBe(held.reduce((total, { size }) => total + size, 0));
        expect(live).toBeLessThanOrEqual(2 * pool.peak + slack);
      }
    }),
  );
});

test('what has been free for longest goes first, once what is encoded has been sent', () => {
  const device = fakeDevice();
  const liveWhenSent: number[][] = [];
  const pool = new BufferPool(device.gpu, () => void liveWhenSent.push(device.sizes()), slack);
  const sizes = [40, 48, 56, 64, 72, 80, 88, 96].map((kilobytes) => kilobytes << 10);
  for (const size of sizes) pool.release(pool.acquire(size));
  const live = device.sizes();
  expect(live.length).toBeLessThan(sizes.length);
  expect(live).toEqual(sizes.slice(-live.length));
  expect(liveWhenSent[0]).toEqual(sizes.slice(0, liveWhenSent[0].length));
});

test('a tensor beyond the limits is refused at once, one at the limit is not', () => {
  const { pool, device } = startPool();
  const { maxBufferSize } = fakeLimits;
  expect(() => pool.acquire(maxBufferSize + 1)).toThrow(
    expect.objectContaining({
      code: 'OUT_OF_MEMORY',
      message: `webgpu: a tensor of ${maxBufferSize + 1} bytes is larger than a buffer of this GPU may be (${maxBufferSize} bytes). Use a smaller batch.`,
    }),
  );
  expect(pool.inUse).toBe(0);
  expect(device.sizes()).toEqual([]);
  expect(pool.acquire(maxBufferSize - 3).size).toBe(maxBufferSize);
});

test('size classes are an eighth apart', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (bytes) => {
      const size = sizeClass(bytes);
      expect(size).toBeGreaterThanOrEqual(Math.max(16, bytes));
      expect(size % 16).toBe(0);
      expect(sizeClass(size)).toBe(size);
    }),
  );
});
