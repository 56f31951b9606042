import { webgpu } from '@tenon-ml/backend-webgpu';
import { compile, type NdArray, read, release, scalar, upload } from '@tenon-ml/core';
import type * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { started } from '../../hosts/tested_backend.js';
import { expectAgreement } from '../kernels/reference.js';
import { batchOf, initial, innerOf, leavesOf, type Setting, type State, stepOf } from './training_step.js';

const [recording, eager] = started(webgpu(), webgpu({ record: false }));

/** Another hold on a tensor's values. */
const share = compile((x: tf.Tensor) => x, { backend: recording });

const shape = fc.constantFrom([], [1], [3], [0, 2], [5, 5], [257], [1025], [33, 40], [2, 3, 7]);

test('updates in place give what eager ones give, and leave alone what else is held', {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(shape, { minLength: 1, maxLength: 9 }),
      fc.record({ rule: fc.constantFrom('sgd', 'momentum', 'adam'), looks: fc.boolean() }),
      fc.boolean(),
      fc.array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 9, maxLength: 9 }),
      async (shapes, setting: Setting, donates, held) => {
        const step = compile(stepOf(setting), { backend: recording, donate: donates ? [0] : [] });
        const plain = compile(stepOf(setting), { backend: eager });
        let state = upload(initial(shapes), recording) as unknown as State;
        const snapshots: { readonly tensor: tf.Tensor; readonly values: NdArray }[] = [];
        for (const [i, numbers] of held.entries()) {
          const leaves = leavesOf<tf.Tensor>(state);
          for (const number of numbers) {
            const tensor = share(leaves[number % leaves.length]);
            snapshots.push({ tensor, values: await read(tensor, { keep: true }) });
          }
          const before = (await read(state as never, { keep: true })) as never;
          const rest = [batchOf(i, i % 3 === 2 ? 2 : 5), scalar(0.05)] as const;
          const wanted = await read(plain(before, ...rest) as never);
          const next = step(state, ...rest);
          if (!donates) release(state as never);
          state = next.state as State;
          const got = await read(next as never, { keep: true });
          release(next.weight);
          const [a, b] = [got, wanted] as unknown as { state: Record<keyof State, NdArray[]> }[];
          for (const [k, array] of leavesOf(a.state).entries()) {
            expectAgreement(array, leavesOf(b.state)[k], { op: 'network', reduction: 64 });
          }
        }
        expect(step.explain().replayed).toBe(5);
        release(state as never);
        for (const { tensor, values } of snapshots) {
          expect([...(await read(tensor)).data]).toEqual([...values.data]);
        }
      },
    ),
    { numRuns: 12 },
  );
});

describe('a training loop', () => {
  const shapes = [[40, 50], [50], [50, 60], [60], [1]];
  const bytes = (values: Record<keyof State, NdArray[]>): number =>
    leavesOf(values).reduce((sum, { data }) => sum + data.byteLength, 0);

  test('holds its parameters once, makes no buffers, and copies nothing, whatever the size of the batch', async () => {
    const inner = innerOf(recording);
    const step = compile(stepOf({ rule: 'adam', looks: true }), { backend: recording, donate: [0] });
    const start = initial(shapes);
    let state = upload(start as never, recording) as unknown as State;
    const run = async (i: number): Promise<void> => {
      const next = step(state, batchOf(i, i % 3 === 2 ? 3 : 8), scalar(0.01));
      state = next.state as State;
      await read(next.weight);
    };
    for (let i = 0; i < 9; i++) await run(i);
    const create = vi.spyOn(inner.device, 'createBuffer');
    const copy = vi.spyOn(inner.commands, 'copy');
    onTestFinished(() => void vi.restoreAllMocks());
    const { pool } = inner.commands;
    const { inUse, peak } = pool;
    onTestFinished(() => void (pool.peak = Math.max(pool.peak, peak)));
    pool.peak = inUse;
    for (let i = 9; i < 18; i++) await run(i);
    expect(step.explain()).toMatchObject({ mode: 'replayed', calls: 18 });
    expect(create).not.toHaveBeenCalled();
    expect(copy).not.toHaveBeenCalled();
    expect(pool.inUse).toBe(inUse);
    // The loss, but not the parameters once more.
    expect(pool.peak - inUse).toBeLessThan(bytes(start) / 10);
    const before = pool.inUse;
    release(state as never);
    expect(before - pool.inUse).toBeGreaterThanOrEqual(bytes(start));
    expect(before - pool.inUse).toBeLessThan(1.5 * bytes(start));
  });

  test('that holds on to a parameter copies that one, once', async () => {
    const inner = innerOf(recording);
    const step = compile(stepOf({ rule: 'adam', looks: true }), { backend: recording, donate: [0] });
    let state = upload(initial(shapes) as never, recording) as unknown as State;
    const run = (i: number): void => {
      const next = step(state, batchOf(i, 8), scalar(0.01));
      release(next.weight);
      state = next.state as State;
    };
    for (let i = 0; i < 4; i++) run(i);
    const copy = vi.spyOn(inner.commands, 'copy');
    onTestFinished(() => void vi.restoreAllMocks());
    const held = share(state.params[0]);
    const values = await read(held, { keep: true });
    run(4);
    run(5);
    expect(copy).toHaveBeenCalledTimes(1);
    expect([...(await read(held)).data]).toEqual([...values.data]);
    release(state as never);
  });

  test.each(['no commands can be sent', 'it fails in the middle'])(
    'goes on where it was after a call that threw, as %s',
    async (how) => {
      const inner = innerOf(recording);
      const step = compile(stepOf({ rule: 'momentum', looks: true }), { backend: recording, donate: [0] });
      let state = upload(initial(shapes) as never, recording) as unknown as State;
      const run = (i: number): void => {
        const next = step(state, batchOf(i, 8), scalar(0.01));
        release(next.weight);
        state = next.state as State;
      };
      for (let i = 0; i < 4; i++) run(i);
      const held = share(state.first[1]);
      const before = (await read(state as never, { keep: true })) as unknown as Record<
        keyof State,
        NdArray[]
      >;
      const { inUse } = inner.commands.pool;
      onTestFinished(() => void vi.restoreAllMocks());
      const original = inner.device.createCommandEncoder.bind(inner.device);
      let passes = 0;
      vi.spyOn(inner.device, 'createCommandEncoder').mockImplementation(() => {
        const encoder = original();
        if (how === 'no commands can be sent') {
          vi.spyOn(encoder, 'finish').mockImplementation(() => {
            throw new Error('no');
          });
        }
        const begin = encoder.beginComputePass.bind(encoder);
        vi.spyOn(encoder, 'beginComputePass').mockImplementation((descriptor) => {
          const pass = begin(descriptor);
          const dispatch = pass.dispatchWorkgroups.bind(pass);
          vi.spyOn(pass, 'dispatchWorkgroups').mockImplementation((...groups) => {
            if (++passes === 6 && how === 'it fails in the middle') throw new Error('no');
            dispatch(...groups);
          });
          return pass;
        });
        return encoder;
      });
      // The copy of what is held goes with commands of its own.
      release(held);
      expect(() => run(4)).toThrow('no');
      vi.restoreAllMocks();
      const after = (await read(state as never, { keep: true })) as unknown as typeof before;
      expect(leavesOf(after).map(({ data }) => [...data])).toEqual(
        leavesOf(before).map(({ data }) => [...data]),
      );
      expect(inner.commands.pool.inUse).toBe(inUse);
      run(4);
      const wanted = await read(
        compile(stepOf({ rule: 'momentum', looks: true }), { backend: eager })(
          before as never,
          batchOf(4, 8),
          scalar(0.01),
        ) as never,
      );
      const got = (await read(state as never)) as unknown as typeof before;
      for (const [k, array] of leavesOf(got).entries()) {
        const other = leavesOf((wanted as unknown as { state: typeof before }).state)[k];
        expectAgreement(array, other, { op: 'network', reduction: 64 });
      }
    },
  );

  test('hands out buffers of a parameter’s own, as tfjs does', async () => {
    const inner = innerOf(recording);
    const step = compile(stepOf({ rule: 'sgd', looks: true }), { backend: recording, donate: [0] });
    let state = upload(initial(shapes) as never, recording) as unknown as State;
    for (let i = 0; i < 4; i++) {
      const next = step(state, batchOf(i, 8), scalar(0.01));
      release(next.weight);
      state = next.state as State;
    }
    const [, parameter] = state.params;
    const values = await read(parameter, { keep: true });
    const { tensorRef, buffer } = parameter.dataToGPU();
    if (!buffer) throw new Error('there is no buffer');
    const copy = inner.createTensorFromGPUData({ buffer }, parameter.shape, 'float32');
    expect([...(await read(copy)).data]).toEqual([...values.data]);
    tensorRef.dispose();
    expect([...(await read(parameter, { keep: true })).data]).toEqual([...values.data]);
    // It has left the arena, and comes back.
    const next = step(state, batchOf(4, 8), scalar(0));
    expect([...(await read(next.state.params[1], { keep: true })).data]).toEqual([...values.data]);
    release(next as never);
  });

  test('updates all parameters in one dispatch', async () => {
    const { maxStorageBuffersPerShaderStage: bindings } = innerOf(recording).device.limits;
    const commandsOf = async (count: number): Promise<number> => {
      const step = compile(stepOf({ rule: 'adam', looks: true }), { backend: recording, donate: [0] });
      let state = upload(initial(Array(count).fill([4, 4])) as never, recording) as unknown as State;
      for (let i = 0; i < 3; i++) {
        const next = step(state, batchOf(i, 8), scalar(0.01));
        release(next.weight);
        state = next.state as State;
      }
      release(state as never);
      return step.explain().recordings[0].commands;
    };
    const verdicts = (count: number): number => Math.ceil(count / (bindings - 1));
    // The batch's mean, two products for each parameter, the verdicts, and the verdict on them.
    for (const count of [1, 20])
      expect(await commandsOf(count)).toBe(1 + 2 * count + verdicts(count) + 1 + 1);
  });
});
