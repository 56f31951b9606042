import { unzipSync, zipSync } from 'fflate';
import { TenonError } from './errors.js';
import { type ArtifactStore, isPath, memoryStore } from './store.js';

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

// Deflate makes no more than 1,032 bytes of one: whatever claims more lies about its size.
const deflateLimit = 1032;

export interface FromZipOptions {
  /** How many bytes all files may have, unpacked; any number by default. */
  readonly limit?: number;
}

/**
 * A store over the files of a zip archive, in memory. Throws `ARTIFACT_INVALID` for bytes that are no zip, for files
 * that aren't of the size that the archive says, and for paths that lead out of it; `INVALID_ARGUMENT`, before anything is
 * unpacked beyond it, for more than the limit.
 */
export function fromZip(
  bytes: Uint8Array,
  location = 'zip',
  { limit = Number.POSITIVE_INFINITY }: FromZipOptions = {},
): ArtifactStore {
  const sizes = new Map<string, number>();
  let total = 0;
  let files: [string, Uint8Array][];
  try {
    const unzipped = unzipSync(bytes, {
      filter: ({ name, size, originalSize }) => {
        sizes.set(name, originalSize);
        if (originalSize > size * deflateLimit) throw new RangeError(`${name} claims ${originalSize} bytes`);
        total += originalSize;
        return total <= limit && !name.endsWith('/');
      },
    });
    files = Object.entries(unzipped);
  } catch (cause) {
    throw new TenonError({
      code: 'ARTIFACT_INVALID',
      where: location,
      expected: 'a zip archive',
      got: `${bytes.length} bytes that are none, or are cut off`,
      cause,
    });
  }
  if (total > limit) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: location,
      expected: `files of at most ${limit} bytes in all`,
      got: `${total} bytes`,
    });
  }
  for (const [path, content] of files) {
    if (content.length === sizes.get(path) && isPath(path)) continue;
    throw new TenonError({
      code: 'ARTIFACT_INVALID',
      where: location,
      expected: 'files of the size that the archive says, at paths inside it',
      got: `${content.length} bytes at ${JSON.stringify(path)}`,
    });
  }
  return memoryStore(files, location);
}
