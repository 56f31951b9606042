import { type ArtifactStore, memoryStore } from '@tenon-ml/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createEventLog } from '../src/event_log.js';

const path = 'events.jsonl';
const text = async (store: ArtifactStore) => new TextDecoder().decode(await store.read(path));
const bytes = (content: string) => new TextEncoder().encode(content);

test('lines reach the store with the next flush, in order', async () => {
  const store = memoryStore();
  const log = createEventLog(store, path);
  log.add({ a: 1 });
  expect(await store.list()).toEqual([]);
  log.add({ b: 'ü' });
  await log.flush();
  await log.flush();
  expect(await text(store)).toBe('{"a":1}\n{"b":"ü"}\n');
  log.add({ c: 2 });
  expect(await log.length()).toBe(bytes('{"a":1}\n{"b":"ü"}\n{"c":2}\n').length);
});

test('a number that is not finite is null: JSON has no other word for it', async () => {
  const store = memoryStore();
  const log = createEventLog(store, path);
  log.add({ loss: Number.NaN, bound: Number.POSITIVE_INFINITY });
  await log.flush();
  expect(await text(store)).toBe('{"loss":null,"bound":null}\n');
});

test('whatever a death left behind the last checkpoint, the log is that of a run that never died', async () => {
  const event = fc.record({ step: fc.nat(), text: fc.string({ unit: 'grapheme' }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { maxLength: 6 }),
      fc.array(event, { maxLength: 6 }),
      fc.array(event, { maxLength: 6 }),
      fc.nat(),
      async (before, lost, after, cut) => {
        const store = memoryStore();
        const first = createEventLog(store, path);
        for (const one of before) first.add(one);
        const length = await first.length();
        for (const one of lost) first.add(one);
        await first.flush();
        // Died in the middle of an append: any part of what came behind may be there.
        const whole = (await store.list()).length > 0 ? await store.read(path) : new Uint8Array(0);
        const rest = whole.length - length;
        await store.write(path, whole.subarray(0, length + (rest === 0 ? 0 : cut % (rest + 1))));
        const second = createEventLog(store, path);
        await second.truncate(length);
        for (const one of after) second.add(one);
        await second.flush();
        expect(await text(store)).toBe(
          [...before, ...after].map((one) => `${JSON.stringify(one)}\n`).join(''),
        );
      },
    ),
  );
});

test('a log that is shorter than the checkpoint says (a loss of power) goes on with a line of its own', async () => {
  const store = memoryStore([[path, bytes('{"step":1}\n{"step":2}\n{"st')]]);
  const log = createEventLog(store, path);
  await log.truncate(1000);
  log.add({ step: 9 });
  await log.flush();
  expect(await text(store)).toBe('{"step":1}\n{"step":2}\n{"step":9}\n');
});

test('a log that is not there is empty', async () => {
  const store = memoryStore();
  const log = createEventLog(store, path);
  await log.truncate(10);
  expect(await log.length()).toBe(0);
  expect(await store.list()).toEqual([]);
});
