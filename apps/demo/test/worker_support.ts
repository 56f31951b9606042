import { type ArtifactStore, memoryStore } from '@tenon-ml/core';
import { vi } from 'vitest';

/** The browser's storage as the tests of workers have it: by folder, in memory. */
export const folders = new Map<string, ArtifactStore>();

export const storage = {
  opfsStore: async (folder: string): Promise<ArtifactStore> => {
    const store = folders.get(folder) ?? memoryStore([], `opfs:${folder}`);
    folders.set(folder, store);
    return store;
  },
  listFolders: async (folder: string): Promise<string[]> =>
    [...folders.keys()].flatMap((name) =>
      name.startsWith(`${folder}/`) ? [name.slice(folder.length + 1)] : [],
    ),
  removeTree: async (folder: string): Promise<void> => void folders.delete(folder),
  storageEstimate: async () => ({ used: 0, quota: 0 }),
};

/** Locks that nobody else asks for. */
export function stubLocks(): void {
  vi.stubGlobal('navigator', {
    locks: {
      request: async (name: string, _options: unknown, f: (lock: unknown) => unknown) => f({ name }),
      query: async () => ({ held: [] }),
    },
  });
}
