import { TenonError } from '../errors.js';
import { type ArtifactStore, checkPath, notFound } from '../store.js';
import { isTemporary, temporaryName } from '../temporary.js';
import { browserStorageError, isMissing, nameOf, originFolder } from './storage.js';

export interface OpfsOptions {
  /** What `folder` is in; the root of the origin private file system by default. */
  readonly root?: FileSystemDirectoryHandle;
}

/**
 * A store over a folder of the browser's own storage (the origin private file system), in pages and in workers. The
 * folder, such as 'runs/7', is created by the first write, and gone with its last file.
 *
 * `write` is atomic. To a path that exists it writes into the browser's swap file, which takes the file's place when it is
 * closed; to a new path it writes a file beside it, and moves that. A tab or a browser that is killed leaves the old file
 * or the new one (no file, where there was none); so does a storage that runs full. `append` copies the file into the
 * swap file first: atomic too, and as slow as the file is long. What a death leaves behind is never listed, and goes with
 * the next write to that path, or with its folder. None of this flushes the disk: after a loss of power, what the last
 * seconds wrote is up to the browser.
 *
 * Tabs and workers may use one folder at the same time: Web Locks put what they do to one file in order.
 *
 * Throws `INVALID_ARGUMENT` for a folder or a path that leads out, or a name that Chromium keeps for swap files
 * (`*.crswap`); `NOT_FOUND`; `STORAGE_FULL`; `PERMISSION_DENIED`; `STORAGE_FAILED`, also where there is no such storage.
 */
export async function opfsStore(folder: string, options: OpfsOptions = {}): Promise<ArtifactStore> {
  checkPath(folder);
  const root = options.root ?? (await originFolder());
  const location = `opfs:${folder}`;
  const at = (path: string): string => `${location}/${path}`;
  const split = (path: string): { parents: string[]; name: string } => {
    const parents = `${folder}/${checkPath(path)}`.split('/');
    const name = parents.pop() as string;
    if (!swapEnd.test(name)) return { parents, name };
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: location,
      expected: "a name that doesn't end in '.crswap', which browsers keep for themselves",
      got: JSON.stringify(path),
    });
  };
  const attempt = async <T>(path: string, verb: string, f: () => Promise<T>): Promise<T> => {
    try {
      return await f();
    } catch (error) {
      throw browserStorageError(error, at(path), verb);
    }
  };

  return {
    location,
    async read(path) {
      const { parents, name } = split(path);
      return attempt(path, 'read', () =>
        locked(at(path), 'shared', async () => {
          const handle = await missingAs(undefined, async () =>
            (await walk(root, parents)).getFileHandle(name),
          );
          if (!handle) throw notFound({ location }, path);
          return new Uint8Array(await (await handle.getFile()).arrayBuffer());
        }),
      );
    },
    async write(path, bytes) {
      const { parents, name } = split(path);
      await attempt(path, 'write', () =>
        locked(at(path), 'exclusive', () => put(root, parents, name, bytes, false)),
      );
    },
    async append(path, bytes) {
      const { parents, name } = split(path);
      await attempt(path, 'append to', () =>
        locked(at(path), 'exclusive', () => put(root, parents, name, bytes, true)),
      );
    },
    async list(prefix = '') {
      return attempt('', 'list', async () => {
        const found: string[] = [];
        const top = await missingAs(undefined, () => walk(root, folder.split('/')));
        if (top) await collect(top, '', prefix, found);
        return found.sort();
      });
    },
    async remove(path) {
      const { parents, name } = split(path);
      await attempt(path, 'remove', () =>
        locked(at(path), 'exclusive', async () => {
          const parent = await missingAs(undefined, async () => {
            const within = await walk(root, parents);
            // Not removeEntry alone, which takes an empty folder too.
            await within.getFileHandle(name);
            return within;
          });
          if (!parent) return;
          await locked(folders, 'shared', () => parent.removeEntry(name));
          await removeEmpty(root, parents);
        }),
      );
    },
  };
}

/** The names of the folders in a folder of the origin's file system, sorted; none where it doesn't exist. */
export async function listFolders(folder: string, options: OpfsOptions = {}): Promise<string[]> {
  const names = checkPath(folder).split('/');
  const root = options.root ?? (await originFolder());
  try {
    const found: string[] = [];
    const within = await missingAs(undefined, () => walk(root, names));
    if (within)
      for await (const [name, { kind }] of within.entries()) if (kind === 'directory') found.push(name);
    return found.sort();
  } catch (error) {
    throw browserStorageError(error, `opfs:${folder}`, 'list');
  }
}

/**
 * Removes a folder of the origin's file system with all that is in it; one that doesn't exist is no error. Throws
 * `STORAGE_FAILED` where something in it is being written: part of it may be gone then.
 */
export async function removeTree(folder: string, options: OpfsOptions = {}): Promise<void> {
  const parents = checkPath(folder).split('/');
  const name = parents.pop() as string;
  const root = options.root ?? (await originFolder());
  try {
    const parent = await missingAs(undefined, async () => {
      const within = await walk(root, parents);
      await within.getDirectoryHandle(name);
      return within;
    });
    if (!parent) return;
    await locked(folders, 'exclusive', () => parent.removeEntry(name, { recursive: true }));
    await removeEmpty(root, parents);
  } catch (error) {
    throw browserStorageError(error, `opfs:${folder}`, 'remove');
  }
}

/**
 * The lock of the tree itself: shared while files are written and removed, exclusive while folders go. The browser locks all
 * that is in a folder for the moment in which it looks whether it may go, and refuses what comes meanwhile.
 */
const folders = 'tenon:opfs';

function locked<T>(name: string, mode: LockMode, f: () => Promise<T>): Promise<T> {
  return navigator.locks.request(name, { mode }, f) as Promise<T>;
}

async function walk(
  root: FileSystemDirectoryHandle,
  names: readonly string[],
  create = false,
): Promise<FileSystemDirectoryHandle> {
  let folder = root;
  for (const name of names) folder = await folder.getDirectoryHandle(name, { create });
  return folder;
}

async function missingAs<T, M>(value: M, f: () => Promise<T>): Promise<T | M> {
  try {
    return await f();
  } catch (error) {
    if (isMissing(error)) return value;
    throw error;
  }
}

interface Existing {
  readonly parent: FileSystemDirectoryHandle;
  readonly handle: FileSystemFileHandle;
}

/** The file, if there is one. Throws where a folder is in its place, or a file in a folder's. */
async function existing(
  root: FileSystemDirectoryHandle,
  parents: readonly string[],
  name: string,
): Promise<Existing | undefined> {
  try {
    const parent = await walk(root, parents);
    return { parent, handle: await parent.getFileHandle(name) };
  } catch (error) {
    if (nameOf(error) === 'NotFoundError') return undefined;
    throw error;
  }
}

async function put(
  root: FileSystemDirectoryHandle,
  parents: readonly string[],
  name: string,
  bytes: Uint8Array,
  append: boolean,
): Promise<void> {
  try {
    await locked(folders, 'shared', async () => {
      const old = await existing(root, parents, name);
      if (old) await replace(old, bytes, append);
      else await writeNew(root, parents, name, bytes);
    });
  } catch (error) {
    await removeEmpty(root, parents);
    throw error;
  }
}

/** What Chromium names its swap files, which stay where the browser is killed: `name.crswap`, `name.1.crswap`, … */
const swapEnd = /(\.\d+)?\.crswap$/;

async function replace({ parent, handle }: Existing, bytes: Uint8Array, append: boolean): Promise<void> {
  // Whoever made them is dead, since this path's lock is ours. The first is free unless there are leftovers.
  for (let count = 0; ; count++) {
    const swap = `${handle.name}${count === 0 ? '' : `.${count}`}.crswap`;
    const removed = await missingAs(false, () => parent.removeEntry(swap).then(() => true));
    if (!removed) break;
  }
  await writeInto(handle, bytes, append);
}

/** Through the browser's swap file, which replaces the file when it is closed. */
async function writeInto(handle: FileSystemFileHandle, bytes: Uint8Array, append: boolean): Promise<void> {
  if (typeof handle.createWritable !== 'function') throw tooOld('createWritable');
  const writable = await handle.createWritable({ keepExistingData: append });
  try {
    if (append) await writable.seek((await handle.getFile()).size);
    // A view of shared memory, as the wasm engine has, is not taken.
    const own = bytes.buffer instanceof ArrayBuffer ? bytes : new Uint8Array(bytes);
    for (let start = 0; start < own.length; start += PIPE) {
      const part = own.subarray(start, start + PIPE) as Uint8Array<ArrayBuffer>;
      await writable.write(new Blob([part]));
    }
    await writable.close();
  } catch (error) {
    await writable.abort().catch(() => {});
    throw error;
  }
}

/**
 * Bytes that are written at once. Chromium sends them through a pipe, as a blob or as they are: where the storage runs full
 * while some are still to be sent, it may tell of a broken pipe, or of a file that can't be read, in its place.
 */
const PIPE = 2 ** 18;

interface Movable {
  move(parent: FileSystemDirectoryHandle, name: string): Promise<void>;
}

/** A file that wasn't there: making it under its name would leave an empty one to whoever dies before it is closed. */
async function writeNew(
  root: FileSystemDirectoryHandle,
  parents: readonly string[],
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = temporaryName(name, crypto.randomUUID());
  const parent = await walk(root, parents, true);
  const handle = await parent.getFileHandle(temporary, { create: true });
  try {
    if (!('move' in handle)) throw tooOld('move');
    // Whoever made them is dead: this path's lock is ours.
    for await (const left of parent.keys()) {
      const of = left.replace(swapEnd, '');
      if (of !== temporary && isTemporary(of, name)) await parent.removeEntry(left);
    }
    await writeInto(handle, bytes, false);
    await (handle as unknown as Movable).move(parent, name);
  } catch (error) {
    await parent.removeEntry(temporary).catch(() => {});
    throw error;
  }
}

/** Removes the last of these folders if it is empty, then the one around it, and so on. */
async function removeEmpty(root: FileSystemDirectoryHandle, names: readonly string[]): Promise<void> {
  await locked(folders, 'exclusive', async () => {
    for (let depth = names.length; depth > 0; depth--) {
      try {
        const within = await walk(root, names.slice(0, depth - 1));
        // A folder: a file in its place is somebody's.
        await within.getDirectoryHandle(names[depth - 1]);
        await within.removeEntry(names[depth - 1]);
      } catch {
        // Not empty, or gone already.
        return;
      }
    }
  });
}

async function collect(
  folder: FileSystemDirectoryHandle,
  path: string,
  prefix: string,
  found: string[],
): Promise<void> {
  for await (const [name, handle] of folder.entries()) {
    const inner = path + name;
    if (handle.kind === 'file') {
      if (inner.startsWith(prefix) && !isTemporary(name) && !swapEnd.test(name)) found.push(inner);
      continue;
    }
    const within = `${inner}/`;
    if (!within.startsWith(prefix) && !prefix.startsWith(within)) continue;
    // It may go while it is listed.
    await missingAs(undefined, () => collect(handle as FileSystemDirectoryHandle, within, prefix, found));
  }
}

function tooOld(method: string): TenonError {
  return new TenonError({
    code: 'STORAGE_FAILED',
    where: "the browser's storage",
    expected: `files with '${method}'`,
    got: 'a browser that lacks it',
    hint: 'Use a current version of the browser.',
  });
}
