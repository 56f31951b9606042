import {
  compile,
  fromNested,
  isTenonError,
  read,
  tensorCount,
  upload,
  withBackend,
  zeros,
} from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { Memory } from '../src/memory.js';

const MiB = 2 ** 20;

describe('the allocator', () => {
  const sizes = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 20_000 }), fc.nat({ max: 500_000 }));
  const step = fc.record({ bytes: sizes, free: fc.nat() });

  test('hands out blocks that are aligned, padded, inside of the memory, and never overlap', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (steps, keep) => {
          const memory = new Memory({ limit: 64 * MiB });
          const blocks: { pointer: number; bytes: number }[] = [];
          let used = 0;
          for (const { bytes, free } of steps) {
            const pointer = memory.allocate(bytes);
            const size = Memory.roundedSize(bytes);
            expect(pointer % 64).toBe(0);
            expect(size % 64).toBe(0);
            expect(size).toBeGreaterThanOrEqual(Math.max(64, bytes));
            expect(pointer + size).toBeLessThanOrEqual(memory.size);
            expect(pointer).toBeGreaterThan(0);
            for (const other of blocks) {
              const apart =
                pointer + size <= other.pointer || other.pointer + Memory.roundedSize(other.bytes) <= pointer;
              if (!apart) throw new Error(`${pointer}+${size} overlaps ${other.pointer}+${other.bytes}`);
            }
            blocks.push({ pointer, bytes });
            used += size;
            if ((free % 1000) / 1000 > keep) {
              const [gone] = blocks.splice(free % blocks.length, 1);
              memory.free(gone.pointer, gone.bytes);
              used -= Memory.roundedSize(gone.bytes);
            }
            expect(memory.inUse).toBe(used);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('wastes at most an eighth, and a line', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 31 }), (bytes) => {
        const size = Memory.roundedSize(bytes);
        expect(size).toBeGreaterThanOrEqual(bytes);
        expect(size).toBeLessThanOrEqual(Math.ceil(bytes * 1.125) + 64);
      }),
    );
  });

  test('takes the same sizes again without growing', () => {
    const memory = new Memory();
    const once = (): void => {
      const blocks = [100, 5000, 70_000, 5000].map((bytes) => ({ pointer: memory.allocate(bytes), bytes }));
      for (const { pointer, bytes } of blocks) memory.free(pointer, bytes);
    };
    once();
    const { size } = memory;
    for (let i = 0; i < 1000; i++) once();
    expect(memory.size).toBe(size);
    expect(memory.inUse).toBe(0);
  });

  test('joins neighbours that are free before it gives up', () => {
    const memory = new Memory({ limit: 8 * MiB });
    const small = Array.from({ length: 60 }, () => memory.allocate(128 * 1024));
    expect(() => memory.allocate(4 * MiB)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
    for (const pointer of small) memory.free(pointer, 128 * 1024);
    expect(memory.allocate(7 * MiB)).toBeGreaterThan(0);
  });

  test('poisons what is freed where it is asked to', () => {
    const memory = new Memory({ poison: true });
    const pointer = memory.allocate(64);
    const view = new Float32Array(memory.memory.buffer, pointer, 16).fill(1);
    memory.free(pointer, 64);
    expect(view.every(Number.isNaN)).toBe(true);
  });
});

describe('an engine that is out of memory', () => {
  const backend = wasm({ memoryLimit: 16 * MiB, poison: true });
  beforeAll(async () => {
    await backend.init();
  });
  afterAll(() => backend.dispose());

  const outOfMemory = expect.objectContaining({
    code: 'OUT_OF_MEMORY',
    message: expect.stringMatching(
      /^wasm: expected room for .*MiB.*in use.*at most 16\.0 MiB.*smaller batches/s,
    ),
  });

  test('says so, leaves nothing behind, and works on', async () => {
    const before = { tensors: tensorCount(), memory: backend.memory?.().inUse };
    expect(() => upload([zeros([1024, 1024]), zeros([4096, 1024])], backend)).toThrow(outOfMemory);
    const square = compile((x: tf.Tensor) => tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D), { backend });
    // 4 MiB each: operand, packed operand and result don't fit three times over, but one product does.
    const grow = compile(
      (x: tf.Tensor) => {
        const parts = Array.from({ length: 8 }, () => tf.add(x, 1));
        return tf.addN(parts);
      },
      { backend },
    );
    expect(() => grow(zeros([1024, 1024]))).toThrow(outOfMemory);
    expect({ tensors: tensorCount(), memory: backend.memory?.().inUse }).toEqual(before);
    for (let i = 0; i < 4; i++) {
      const { data } = await read(
        square(
          fromNested([
            [1, i],
            [0, 1],
          ]),
        ),
      );
      expect([...data]).toEqual([1, 2 * i, 0, 1]);
    }
  });

  test('in a kernel of its own, frees what the kernel had taken', () => {
    const before = backend.memory?.().inUse;
    let caught: unknown;
    withBackend(backend, () => {
      const x = tf.zeros([1, 3 * MiB]);
      try {
        tf.add(x, tf.zeros([1, 1]));
        tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D, true, false);
      } catch (error) {
        caught = error;
      }
      tf.disposeVariables();
      x.dispose();
    });
    expect(isTenonError(caught) && caught.code).toBe('OUT_OF_MEMORY');
    expect(backend.memory?.().inUse).toBeLessThanOrEqual((before ?? 0) + 1024);
  });
});

describe('the figures of memory', () => {
  test('follow what lives on the engine', async () => {
    const backend = wasm();
    expect(backend.memory?.()).toEqual({ inUse: 0, peak: 0, reserved: 0 });
    await backend.init();
    const empty = backend.memory?.().inUse ?? 0;
    const x = upload(zeros([1000]), backend);
    expect(backend.memory?.().inUse).toBe(empty + 4096);
    x.dispose();
    expect(backend.memory?.().inUse).toBe(empty);
    expect(backend.memory?.().peak).toBe(empty + 4096);
    await backend.dispose();
    expect(backend.memory?.().inUse).toBe(0);
  });
});
