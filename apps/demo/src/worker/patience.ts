import { type ArtifactStore, isTenonError, type TenonError } from '@tenon-ml/core';

/** A store whose writes wait for room where the storage is full, rather than fail: what they are part of isn't lost. */
export interface Patience {
  readonly store: ArtifactStore;
  /** What the write that waits was told; null where none does. */
  readonly error: TenonError | null;
  /** Resolves as a promise that waits for writes does, or with null once one of them finds no room. */
  until<T>(pending: Promise<T>): Promise<T | null>;
  /** Lets what waits try again. */
  retry(): void;
  /** Lets what waits fail. */
  giveUp(): void;
}

export function createPatience(store: ArtifactStore): Patience {
  let waiting: { readonly error: TenonError; settle(again: boolean): void }[] = [];
  let noRoom = (): void => {};
  const attempt = async (write: () => Promise<void>): Promise<void> => {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!isTenonError(error) || error.code !== 'STORAGE_FULL') throw error;
        const again = await new Promise<boolean>((settle) => {
          waiting.push({ error, settle });
          noRoom();
        });
        if (!again) throw error;
      }
    }
  };
  const settle = (again: boolean): void => {
    const settled = waiting;
    waiting = [];
    for (const one of settled) one.settle(again);
  };
  return {
    store: {
      ...store,
      write: (path, bytes) => attempt(() => store.write(path, bytes)),
      append: (path, bytes) => attempt(() => store.append(path, bytes)),
    },
    get error() {
      return waiting[0]?.error ?? null;
    },
    until: (pending) =>
      new Promise((resolve, reject) => {
        noRoom = () => resolve(null);
        if (waiting.length > 0) noRoom();
        pending.then(resolve, reject);
      }),
    retry: () => settle(true),
    giveUp: () => settle(false),
  };
}
