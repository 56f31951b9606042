import { type ArtifactStore, isTenonError } from '@tenon-ml/core';

/**
 * A file of JSON lines that survives a resume: what was written after the checkpoint that a run goes on from is cut
 * off, so that the file reads as if the run had never stopped.
 */
export interface EventLog {
  /** Adds a line; it is on the disk after the next `flush`. */
  add(event: object): void;
  flush(): Promise<void>;
  /** Flushes, and tells the file's length in bytes. */
  length(): Promise<number>;
  /**
   * Cuts the file to a length that `length` told, before the first line is added. A file that has become shorter (a
   * loss of power, since appends aren't flushed to the disk) is cut behind its last whole line.
   */
  truncate(length: number): Promise<void>;
}

const newline = 10;

export function createEventLog(store: ArtifactStore, path: string): EventLog {
  let pending: string[] = [];
  let written: number | undefined;
  const size = async (): Promise<number> => {
    written ??= (await readIfThere(store, path)).length;
    return written;
  };
  const flush = async (): Promise<void> => {
    if (pending.length === 0) return;
    const bytes = new TextEncoder().encode(pending.join(''));
    const before = await size();
    pending = [];
    await store.append(path, bytes);
    written = before + bytes.length;
  };
  return {
    add: (event) => void pending.push(`${JSON.stringify(event)}\n`),
    flush,
    async length() {
      await flush();
      return size();
    },
    async truncate(length) {
      const bytes = await readIfThere(store, path);
      const end = bytes.subarray(0, length).lastIndexOf(newline) + 1;
      if (end < bytes.length) await store.write(path, bytes.subarray(0, end));
      written = end;
    },
  };
}

async function readIfThere(store: ArtifactStore, path: string): Promise<Uint8Array> {
  try {
    return await store.read(path);
  } catch (error) {
    if (isTenonError(error) && error.code === 'NOT_FOUND') return new Uint8Array(0);
    throw error;
  }
}
