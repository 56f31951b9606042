import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { Arena, layOut, moveOut, settle } from '../src/arena.js';
import { type Data, whole } from '../src/data.js';
import { Device } from '../src/device.js';
import { fakeDevice, fakeLimits } from './fake_gpu.js';

const ALIGNMENT = 256;
const counts = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 8 });

/** Data in a buffer of its own. */
function dataOf(device: Device, count: number): Data {
  const data = { dtype: 'float32' as const, shape: [count], values: null, refCount: 1 };
  return { ...data, resource: device.acquire(4 * count) };
}

/** What a replay does: outputs take the places of what was given. */
function replay(device: Device, given: readonly Data[]): Data[] {
  const layout = layOut(
    'f32',
    given.map(({ shape }) => 4 * shape[0]),
    ALIGNMENT,
  );
  const arena = settle(device, layout, given);
  const made = given.map(({ shape }, slice): Data => {
    const data: Data = { dtype: 'float32', shape, values: null, refCount: 1, resource: null };
    arena.free(slice);
    arena.take(slice, data);
    return data;
  });
  arena.letGo();
  return made;
}

/** Frees data, as the backend does. */
function free(device: Device, { place, resource }: Data): void {
  if (place) place.arena.free(place.slice);
  else if (resource) device.release(resource);
}

test('slices begin where they may be bound, one after the other', () => {
  fc.assert(
    fc.property(counts, (sizes) => {
      const { offsets, bytes } = layOut('f32', sizes, ALIGNMENT);
      let end = 0;
      for (const [k, offset] of offsets.entries()) {
        expect(offset % ALIGNMENT).toBe(0);
        expect(offset).toBeGreaterThanOrEqual(end);
        expect(offset).toBeLessThan(end + ALIGNMENT);
        end = offset + sizes[k];
      }
      expect(bytes).toBe(end);
    }),
  );
});

test('what lies elsewhere is copied once, and then stays where it is', () => {
  fc.assert(
    fc.property(counts, (sizes) => {
      const device = new Device(fakeDevice().gpu);
      const copy = vi.spyOn(device, 'copy');
      const start = sizes.map((count) => dataOf(device, count));
      const own = start.map(({ resource }) => resource);
      let state = replay(device, start);
      expect(copy).toHaveBeenCalledTimes(sizes.length);
      // The originals are as they were.
      expect(start.map(({ resource }) => resource)).toEqual(own);
      for (const data of start) free(device, data);
      const places = state.map(whole);
      for (let i = 0; i < 3; i++) {
        const next = replay(device, state);
        // The old ones have nothing left to free.
        expect(state.every(({ resource, place }) => resource === null && place === undefined)).toBe(true);
        for (const data of state) free(device, data);
        state = next;
        expect(state.map(whole)).toEqual(places);
      }
      expect(copy).toHaveBeenCalledTimes(sizes.length);
      expect(device.pool.inUse).toBe(places[0].buffer.size);
    }),
  );
});

test('the buffer is free when the last slice is, in any order', () => {
  fc.assert(
    fc.property(counts, fc.array(fc.nat(), { minLength: 8, maxLength: 8 }), (sizes, order) => {
      const device = new Device(fakeDevice().gpu);
      const left = replay(
        device,
        sizes.map((count) => ({ ...dataOf(device, count), external: true })),
      );
      const { inUse } = device.pool;
      const { size } = whole(left[0]).buffer;
      for (const number of order) {
        const [data] = left.splice(number % Math.max(1, left.length), 1);
        if (data) free(device, data);
        expect(device.pool.inUse).toBe(left.length > 0 ? inUse : inUse - size);
      }
    }),
  );
});

test('what is held by others too moves out, and what takes its place lies there', () => {
  const device = new Device(fakeDevice().gpu);
  const state = replay(
    device,
    [10, 20, 30].map((count) => dataOf(device, count)),
  );
  const { buffer } = whole(state[0]);
  state[1].refCount = 2;
  const copy = vi.spyOn(device, 'copy');
  const next = replay(device, state);
  expect(copy).toHaveBeenCalledTimes(1);
  expect(next.map((data) => whole(data).buffer)).toEqual([buffer, buffer, buffer]);
  expect(state[1].place).toBeUndefined();
  expect(state[1].resource).not.toBe(buffer);
  expect([state[0].resource, state[2].resource]).toEqual([null, null]);
});

test('most of the data decide on the arena', () => {
  const device = new Device(fakeDevice().gpu);
  const sizes = [10, 20, 30];
  const [a, b] = [0, 1].map(() =>
    replay(
      device,
      sizes.map((count) => dataOf(device, count)),
    ),
  );
  const { buffer } = whole(a[0]);
  const stranger = a[1];
  // One comes from elsewhere, and what lies in its place is somebody's still.
  const made = replay(device, [a[0], b[1], a[2]]);
  expect(made.map((data) => whole(data).buffer)).toEqual([buffer, buffer, buffer]);
  expect(stranger.place).toBeUndefined();
  // It has a buffer of its own, and what was only read lies where it did.
  expect(whole(stranger)).toMatchObject({ offset: 0, size: 80 });
  expect(whole(stranger).buffer).not.toBe(buffer);
  expect(b[1].place?.arena.owner(1)).toBe(b[1]);
  expect(whole(b[1]).buffer).not.toBe(buffer);
});

test('where there is no memory, all is as it was', () => {
  const { gpu } = fakeDevice();
  const device = new Device(gpu);
  const start = [10, 20].map((count) => dataOf(device, count));
  const state = replay(device, start);
  const { inUse } = device.pool;
  state[0].refCount = 2;
  const places = state.map(whole);
  vi.spyOn(gpu, 'createBuffer').mockImplementation(() => {
    throw new Error('no memory');
  });
  // One of the size may be free already.
  while (device.pool.allocated > device.pool.inUse) device.acquire(40);
  expect(() => replay(device, state)).toThrow('no memory');
  expect(state.map(whole)).toEqual(places);
  for (const data of state) free(device, data);
  for (const data of start) free(device, data);
  expect(device.pool.inUse).toBeLessThan(inUse);
});

test('more than a buffer may hold is refused', () => {
  const device = new Device(fakeDevice().gpu);
  const layout = layOut('f32', [fakeLimits.maxBufferSize, 4], ALIGNMENT);
  expect(() => new Arena(device, layout)).toThrow('larger than a buffer');
  expect(device.pool.inUse).toBe(0);
});

test('data that lies in no arena has nowhere to move from', () => {
  const device = new Device(fakeDevice().gpu);
  const data = dataOf(device, 4);
  const { resource } = data;
  moveOut(device, data);
  expect(data.resource).toBe(resource);
});
