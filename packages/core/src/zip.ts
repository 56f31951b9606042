import { unzipSync, zipSync } from 'fflate';
import { TenonError } from './errors.js';
import { type ArtifactStore, memoryStore } from './store.js';

/**
 * The files of a store as one zip archive, stored without compression (weights don't compress). The same files give
 * the same bytes.
 */
export async function toZip(store: ArtifactStore, prefix = ''): Promise<Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const path of await store.list(prefix)) files[path] = await store.read(path);
  // The oldest time that a zip can hold: the archive then depends on the files alone.
  return zipSync(files, { level: 0, mtime: new Date(1980, 0, 1) });
}

/** A store over the files of a zip archive, in memory. Throws `ARTIFACT_INVALID` for bytes that are no zip. */
export function fromZip(bytes: Uint8Array, location = 'zip'): ArtifactStore {
  try {
    const files = Object.entries(unzipSync(bytes)).filter(([path]) => !path.endsWith('/'));
    return { ...memoryStore(files), location };
  } catch (cause) {
    throw new TenonError({
      code: 'ARTIFACT_INVALID',
      where: location,
      expected: 'a zip archive',
      got: `${bytes.length} bytes that are none, or are cut off`,
      cause,
    });
  }
}
