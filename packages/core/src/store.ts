import { isTenonError, TenonError } from './errors.js';

/**
 * Where artifacts, checkpoints and logs are kept: files by relative path, with `/` between names. A node folder, the
 * browser's own storage, memory, a zip.
 */
export interface ArtifactStore {
  /** What it is, for messages: a folder's path, 'memory'. */
  readonly location: string;
  /** A copy. Throws `NOT_FOUND` for a path that doesn't exist. */
  read(path: string): Promise<Uint8Array>;
  /**
   * Atomic: afterwards the file is the old one or the new one, whole, whenever the process dies. `bytes` may not change
   * until it is done.
   */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Adds to the end, and creates the file; not atomic. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** All paths that begin with `prefix`, sorted. */
  list(prefix?: string): Promise<string[]>;
  /** Removing what doesn't exist is no error. */
  remove(path: string): Promise<void>;
}

/** Whether a store takes this path: relative, not climbing out, without empty names and backslashes. */
export function isPath(path: string): boolean {
  const names = path.split('/');
  return !/[\\\0]/.test(path) && names.every((name) => !['', '.', '..', '__proto__'].includes(name));
}

/** The path. Throws `INVALID_ARGUMENT` for one that is absolute, empty, climbs out of its store, or has a backslash. */
export function checkPath(path: string): string {
  if (isPath(path)) return path;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'artifact store',
    expected: "a relative path such as 'checkpoints/latest.json'",
    got: JSON.stringify(path),
  });
}

/** The error for a path that a store doesn't have. */
export function notFound(store: Pick<ArtifactStore, 'location'>, path: string, cause?: unknown): TenonError {
  return new TenonError({
    code: 'NOT_FOUND',
    where: store.location,
    message: `there is no ${path} here`,
    cause,
  });
}

/**
 * The part of a store below a folder, as a store: `prefixed(run, 'data/')`. Paths are given and listed without the prefix,
 * which ends in '/'. Throws `INVALID_ARGUMENT` for another.
 */
export function prefixed(store: ArtifactStore, prefix: string): ArtifactStore {
  if (!prefix.endsWith('/') || !isPath(prefix.slice(0, -1))) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'prefixed',
      expected: "a folder such as 'data/'",
      got: JSON.stringify(prefix),
    });
  }
  const at = (path: string): string => prefix + checkPath(path);
  const location = `${store.location}/${prefix.slice(0, -1)}`;
  return {
    location,
    async read(path) {
      try {
        return await store.read(at(path));
      } catch (error) {
        throw isTenonError(error) && error.code === 'NOT_FOUND' ? notFound({ location }, path, error) : error;
      }
    },
    write: async (path, bytes) => store.write(at(path), bytes),
    append: async (path, bytes) => store.append(at(path), bytes),
    list: async (start = '') => (await store.list(prefix + start)).map((path) => path.slice(prefix.length)),
    remove: async (path) => store.remove(at(path)),
  };
}

/** Reads a file as UTF-8 text. */
export async function readText(store: ArtifactStore, path: string): Promise<string> {
  return new TextDecoder('utf-8', { fatal: false }).decode(await store.read(path));
}

/** Reads a file as JSON. Throws `ARTIFACT_INVALID` where it isn't. */
export async function readJson(store: ArtifactStore, path: string): Promise<unknown> {
  const text = await readText(store, path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TenonError({
      code: 'ARTIFACT_INVALID',
      where: `${store.location}/${path}`,
      expected: 'JSON',
      got: `${text.length} characters that don't parse: ${(cause as Error).message}`,
      cause,
    });
  }
}

/** Writes a value as JSON, indented for people. */
export async function writeJson(store: ArtifactStore, path: string, value: unknown): Promise<void> {
  await store.write(path, new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`));
}

/** A store in memory: for tests, and for artifacts on their way elsewhere. It copies what it is given. */
export function memoryStore(
  initial: Iterable<readonly [string, Uint8Array]> = [],
  location = 'memory',
): ArtifactStore {
  const files = new Map<string, Uint8Array>();
  for (const [path, bytes] of initial) files.set(checkPath(path), new Uint8Array(bytes));
  return {
    location,
    async read(path) {
      const bytes = files.get(checkPath(path));
      if (!bytes) throw notFound({ location }, path);
      return bytes.slice();
    },
    async write(path, bytes) {
      // Not bytes.slice: that of a Buffer is a view.
      files.set(checkPath(path), new Uint8Array(bytes));
    },
    async append(path, bytes) {
      const old = files.get(checkPath(path)) ?? new Uint8Array(0);
      const grown = new Uint8Array(old.length + bytes.length);
      grown.set(old);
      grown.set(bytes, old.length);
      files.set(path, grown);
    },
    async list(prefix = '') {
      return [...files.keys()].filter((path) => path.startsWith(prefix)).sort();
    },
    async remove(path) {
      files.delete(checkPath(path));
    },
  };
}
