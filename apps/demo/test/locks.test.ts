import { afterEach, expect, test, vi } from 'vitest';
import { holding } from '../src/worker/locks.js';

afterEach(() => vi.unstubAllGlobals());

/** Locks of which one is held until `release`. */
function heldLock() {
  let release = (): void => {};
  const free = new Promise<void>((resolve) => {
    release = resolve;
  });
  type Options = { readonly ifAvailable?: boolean; readonly signal?: AbortSignal };
  vi.stubGlobal('navigator', {
    locks: {
      async request(name: string, { ifAvailable, signal }: Options, f: (lock: unknown) => unknown) {
        if (ifAvailable) return f(null);
        await Promise.race([
          free,
          new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
        ]);
        return f({ name });
      },
    },
  });
  return release;
}

test('what is held is in use, at once or after the wait', async () => {
  heldLock();
  await expect(holding('run', async () => 1)).rejects.toMatchObject({ plain: { code: 'IN_USE' } });
  await expect(holding('run', async () => 1, 20)).rejects.toMatchObject({ plain: { code: 'IN_USE' } });
});

test('what is let go of within the wait is had', async () => {
  const release = heldLock();
  setTimeout(release, 20);
  await expect(holding('run', async () => 1, 5000)).resolves.toBe(1);
  await expect(
    holding(
      'run',
      async () => {
        throw new Error('own');
      },
      5000,
    ),
  ).rejects.toThrow('own');
});
