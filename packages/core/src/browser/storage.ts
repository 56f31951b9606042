import { isTenonError, TenonError } from '../errors.js';

/** What the browser says of this origin's storage, in bytes. Both are estimates; `quota` changes with the disk. */
export interface StorageEstimate {
  readonly used: number;
  readonly quota: number;
}

/**
 * How much this origin has stored, and how much it may. Throws `STORAGE_FAILED` where the browser has no such storage or
 * doesn't say.
 */
export async function storageEstimate(): Promise<StorageEstimate> {
  const { estimate } = storageManager();
  try {
    const { usage = 0, quota = 0 } = await estimate();
    return { used: usage, quota };
  } catch (error) {
    throw browserStorageError(error, 'the browser', 'ask for the size of its storage');
  }
}

/** The root of the origin's own file system. Throws `PERMISSION_DENIED` or `STORAGE_FAILED` where there is none. */
export async function originFolder(): Promise<FileSystemDirectoryHandle> {
  const { getDirectory } = storageManager();
  try {
    return await getDirectory();
  } catch (cause) {
    const refused = nameOf(cause) === 'SecurityError' || nameOf(cause) === 'NotAllowedError';
    throw new TenonError({
      code: refused ? 'PERMISSION_DENIED' : 'STORAGE_FAILED',
      where: "the browser's storage",
      message: `the browser gives this page no storage: ${(cause as Error)?.message ?? cause}`,
      hint: 'Leave the private window, or allow the site to store data; without storage nothing outlives the page.',
      cause,
    });
  }
}

interface Manager {
  readonly estimate: () => Promise<{ readonly usage?: number; readonly quota?: number }>;
  readonly getDirectory: () => Promise<FileSystemDirectoryHandle>;
}

function storageManager(): Manager {
  // Absent in pages that didn't come over https or from this machine, in older browsers, and in Node.
  const storage = (globalThis.navigator as Partial<Navigator> | undefined)?.storage;
  if (typeof storage?.getDirectory !== 'function' || !navigator.locks) {
    throw new TenonError({
      code: 'STORAGE_FAILED',
      where: "the browser's storage",
      expected: 'a browser with an origin private file system, and a secure page',
      got: 'none',
      hint: 'Open the page over https or from localhost, in a current browser.',
    });
  }
  return { estimate: () => storage.estimate(), getDirectory: () => storage.getDirectory() };
}

/** Whether there is no file of this path: nothing, a folder, or a file where the path has a folder. */
export function isMissing(error: unknown): boolean {
  return nameOf(error) === 'NotFoundError' || nameOf(error) === 'TypeMismatchError';
}

/** The name of a DOMException; it isn't always one of this realm. */
export function nameOf(error: unknown): string {
  return typeof error === 'object' && error !== null ? String((error as Error).name) : '';
}

/** An error of the browser's file system as one of ours; `verb` is what was tried. Other errors as they are. */
export function browserStorageError(error: unknown, where: string, verb: string): unknown {
  if (isTenonError(error)) return error;
  const cause = error as Error;
  switch (nameOf(error)) {
    case 'QuotaExceededError':
      return new TenonError({
        code: 'STORAGE_FULL',
        where,
        message:
          "the browser's storage is full: this file was not written, and what was there before is untouched",
        hint: 'Remove runs or data that you no longer need, or free space on the disk.',
        cause,
      });
    case 'SecurityError':
    case 'NotAllowedError':
      return new TenonError({
        code: 'PERMISSION_DENIED',
        where,
        message: `the browser doesn't allow this page to ${verb} it: ${cause.message}`,
        hint: 'Allow the site to store data.',
        cause,
      });
    case 'TypeMismatchError':
      return new TenonError({
        code: 'STORAGE_FAILED',
        where,
        message: `could not ${verb} this file: ${cause.message}`,
        hint: 'A file stands where a folder is expected, or a folder where the file is: choose another path.',
        cause,
      });
    case 'NoModificationAllowedError':
      return new TenonError({
        code: 'STORAGE_FAILED',
        where,
        message: `could not ${verb} it, since something has it open: ${cause.message}`,
        hint: 'Close other tabs of this page, and try again.',
        cause,
      });
    default:
      return cause instanceof DOMException
        ? new TenonError({
            code: 'STORAGE_FAILED',
            where,
            message: `could not ${verb} it: ${cause.name}: ${cause.message}`,
            cause,
          })
        : error;
  }
}
