import { type ArtifactStore, memoryStore, TenonError } from '@tenon-ml/core';
import { describe, expect, it } from 'vitest';
import { createPatience } from '../src/worker/patience.js';

/** A store that takes nothing while `full` is true, and what was tried to be written. */
function storeThatFills(code: 'STORAGE_FULL' | 'STORAGE_FAILED' = 'STORAGE_FULL') {
  const store = memoryStore();
  const state = { full: true, tries: 0 };
  const checked =
    (write: ArtifactStore['write']): ArtifactStore['write'] =>
    async (path, bytes) => {
      state.tries++;
      if (state.full) throw new TenonError({ code, where: path, message: 'no room' });
      await write(path, bytes);
    };
  return { state, store: { ...store, write: checked(store.write), append: checked(store.append) } };
}

const bytes = Uint8Array.of(1, 2);

describe('a store with patience', () => {
  it.each(['write', 'append'] as const)('lets a %s wait for room, and tries it again', async (method) => {
    const { state, store } = storeThatFills();
    const patience = createPatience(store);
    const pending = patience.store[method]('a', bytes).then(() => 'written');
    expect(await patience.until(pending)).toBeNull();
    expect(patience.error).toMatchObject({ code: 'STORAGE_FULL', where: 'a' });

    // As full as before.
    patience.retry();
    expect(await patience.until(pending)).toBeNull();
    expect(state.tries).toBe(2);

    state.full = false;
    patience.retry();
    expect(patience.error).toBeNull();
    expect(await patience.until(pending)).toBe('written');
    expect(await store.read('a')).toEqual(bytes);
    expect(state.tries).toBe(3);
  });

  it('tells at once of what waits already', async () => {
    const patience = createPatience(storeThatFills().store);
    const pending = patience.store.write('a', bytes);
    await patience.until(pending);
    expect(await patience.until(pending)).toBeNull();
  });

  it('lets all that wait fail when it is given up', async () => {
    const patience = createPatience(storeThatFills().store);
    const all = Promise.allSettled([patience.store.write('a', bytes), patience.store.append('b', bytes)]);
    expect(await patience.until(all)).toBeNull();
    await Promise.resolve();
    patience.giveUp();
    expect(await all).toMatchObject([
      { status: 'rejected', reason: { where: 'a' } },
      { status: 'rejected', reason: { where: 'b' } },
    ]);
    expect(patience.error).toBeNull();
  });

  it('has none with other errors', async () => {
    const patience = createPatience(storeThatFills('STORAGE_FAILED').store);
    const pending = patience.store.write('a', bytes);
    await expect(patience.until(pending)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    expect(patience.error).toBeNull();
  });
});
