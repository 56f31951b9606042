import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { isTenonError, TenonError } from '../errors.js';
import { type ArtifactStore, checkPath, notFound } from '../store.js';
import { isTemporary, temporaryName } from '../temporary.js';

/**
 * A store over a folder, which is created by the first write.
 *
 * `write` writes a file beside the target, flushes it to the disk, renames it over the target and flushes the folder:
 * a process that is killed, or a disk that runs full, leaves the old file or the new one. What such a death leaves
 * behind (`.name.uuid.tmp`) is never listed, and a write to the same path clears it away once it is a minute old.
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`, `STORAGE_FULL`, `STORAGE_FAILED`.
 */
export function folderStore(path: string): ArtifactStore {
  const root = resolve(path);
  const store: ArtifactStore = {
    location: root,
    async read(name) {
      const file = join(root, checkPath(name));
      try {
        return new Uint8Array(await readFile(file));
      } catch (error) {
        if (isMissing(error)) throw notFound(store, name, error);
        throw storageError(error, file, 'read');
      }
    },
    async write(name, bytes) {
      const file = join(root, checkPath(name));
      const folder = dirname(file);
      const base = basename(file);
      const temporary = join(folder, temporaryName(base, randomUUID()));
      try {
        await mkdir(folder, { recursive: true });
        await clearLeftovers(folder, base);
        await using(await open(temporary, 'wx'), async (handle) => {
          await handle.writeFile(bytes);
          await handle.sync();
        });
        await rename(temporary, file);
        await flushFolder(folder);
      } catch (error) {
        await rm(temporary, { force: true }).catch(() => {});
        throw storageError(error, file, 'write');
      }
    },
    async append(name, bytes) {
      const file = join(root, checkPath(name));
      try {
        await mkdir(dirname(file), { recursive: true });
        await using(await open(file, 'a'), (handle) => handle.writeFile(bytes));
      } catch (error) {
        throw storageError(error, file, 'append to');
      }
    },
    async list(prefix = '') {
      try {
        const entries = await readdir(root, { recursive: true, withFileTypes: true });
        return entries
          .filter((entry) => entry.isFile() && !isTemporary(entry.name))
          .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
          .filter((name) => name.startsWith(prefix))
          .sort();
      } catch (error) {
        const { code, path: missing } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT' && missing === root) return [];
        throw storageError(error, root, 'list');
      }
    },
    async remove(name) {
      const file = join(root, checkPath(name));
      try {
        await rm(file, { force: true });
      } catch (error) {
        if (!isMissing(error)) throw storageError(error, file, 'remove');
      }
    },
  };
  return store;
}

/** Removes what writes to this file that died have left. */
async function clearLeftovers(folder: string, base: string): Promise<void> {
  const old = Date.now() - 60_000;
  for (const name of await readdir(folder)) {
    if (!isTemporary(name, base)) continue;
    const file = join(folder, name);
    // A young one may be another write to this path, still under way.
    const info = await stat(file).catch(() => undefined);
    if (info && info.mtimeMs < old) await rm(file, { force: true });
  }
}

async function using<T>(handle: FileHandle, f: (handle: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await f(handle);
  } finally {
    await handle.close();
  }
}

/** Makes the rename last through a loss of power. Windows can't open folders, and needs no such thing. */
async function flushFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using(await open(folder, 'r'), (handle) => handle.sync());
}

/** Whether there is no file of this path: nothing, a folder, or a file where the path has a folder. */
function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR' || code === 'ERR_FS_EISDIR';
}

/** A file system's error as one of ours, with what to do; `verb` is what was tried. Other errors as they are. */
export function storageError(error: unknown, file: string, verb: string): unknown {
  if (isTenonError(error)) return error;
  const cause = error as NodeJS.ErrnoException;
  const where = file;
  switch (cause?.code) {
    case 'ENOENT':
      return new TenonError({
        code: 'NOT_FOUND',
        where,
        message: `this path does not exist, so I can't ${verb} it`,
        cause,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new TenonError({
        code: 'PERMISSION_DENIED',
        where,
        message: `no permission to ${verb} this file (${cause.code})`,
        hint: 'Change its permissions, or choose another folder.',
        cause,
      });
    case 'ENOSPC':
    case 'EDQUOT': {
      const left =
        verb === 'append to'
          ? 'part of what was to be added may be there'
          : 'this file was not written, and what was there before is untouched';
      return new TenonError({
        code: 'STORAGE_FULL',
        where,
        message: `the disk is full (${cause.code}): ${left}`,
        hint: 'Free some space, or choose another folder.',
        cause,
      });
    }
    case 'ENOTDIR':
    case 'EEXIST':
    case 'EISDIR':
    case 'ENOTEMPTY':
      return new TenonError({
        code: 'STORAGE_FAILED',
        where,
        message: `could not ${verb} this file: ${cause.message}`,
        hint: 'A file stands where a folder is expected, or a folder where the file is: choose another path.',
        cause,
      });
    case undefined:
      return error;
    default:
      return new TenonError({
        code: 'STORAGE_FAILED',
        where,
        message: `could not ${verb} this file: ${cause.message}`,
        cause,
      });
  }
}
