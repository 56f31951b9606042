import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Device } from '../src/device.js';
import { Workspace, type WorkspaceSession } from '../src/workspace.js';
import { fakeDevice } from './fake_gpu.js';

const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 10 });
const plans = fc.array(fc.record({ sizes, drop: fc.boolean(), which: fc.nat() }), { maxLength: 20 });

test('plans share buffers, and one that no plan uses any more is free', () => {
  fc.assert(
    fc.property(plans, (actions) => {
      const device = new Device(fakeDevice().gpu);
      const workspace = new Workspace(device);
      const live: { session: WorkspaceSession; buffers: ReadonlySet<GPUBuffer> }[] = [];
      for (const { sizes: wanted, drop, which } of actions) {
        const session = workspace.session();
        const buffers = wanted.map((size) => session.take(size));
        // Nothing of one plan overlaps until it is given back.
        expect(new Set(buffers).size).toBe(buffers.length);
        for (const buffer of buffers) session.giveBack(buffer);
        for (const size of wanted) expect(buffers).toContain(session.take(size));
        live.push({ session, buffers: new Set(buffers) });
        if (drop) for (const { session: ended } of live.splice(which % live.length, 1)) ended.end();
        const used = new Set(live.flatMap(({ buffers: own }) => [...own]));
        expect(device.pool.inUse).toBe([...used].reduce((total, { size }) => total + size, 0));
      }
      for (const { session } of live) session.end();
      expect(device.pool.inUse).toBe(0);
    }),
  );
});

test('two plans of the same shapes use the same buffers', () => {
  const device = new Device(fakeDevice().gpu);
  const workspace = new Workspace(device);
  const takeAll = (session: WorkspaceSession) => [100, 2000, 100].map((size) => session.take(size));
  const first = workspace.session();
  const buffers = takeAll(first);
  const second = workspace.session();
  expect(new Set(takeAll(second))).toEqual(new Set(buffers));
  expect(second.bytes).toBe(first.bytes);
  first.end();
  expect(device.pool.inUse).toBe(second.bytes);
  second.end();
  expect(device.pool.inUse).toBe(0);
});
