import { TenonError } from '@tenon-ml/core/errors';
import { checkLimit, type limits } from './limits.js';

/** Where a file was in what was dropped, with '/' between names; its name alone where it wasn't in a folder. */
export function pathOf(file: File): string {
  return file.webkitRelativePath || file.name;
}

/**
 * The files with the paths that they had. A file that is sent to a worker keeps only the path that the browser gave it, and
 * that is the case for a chosen folder alone, not for a dropped one.
 */
export function withPaths(files: readonly File[], paths: readonly string[]): File[] {
  return files.map((file, i) =>
    pathOf(file) === paths[i] ? file : Object.defineProperty(file, 'webkitRelativePath', { value: paths[i] }),
  );
}

/** The name without the folders. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * All files of a drop, those in folders too, each with its path as `webkitRelativePath`. Call it in the handler of the
 * event: afterwards the browser has forgotten what was dropped.
 *
 * Throws `INVALID_ARGUMENT` for too many files, and `STORAGE_FAILED` for one that can't be opened.
 */
export async function filesOf(transfer: Pick<DataTransfer, 'items' | 'files'>): Promise<File[]> {
  // All of them before the first await, which ends the event.
  const entries = Array.from(transfer.items ?? [], (item) =>
    item.kind === 'file' ? item.webkitGetAsEntry() : null,
  ).filter((entry) => entry !== null);
  if (entries.length === 0) return [...transfer.files];
  const found: File[] = [];
  for (const entry of entries) await collect(entry, '', found);
  return found;
}

async function collect(entry: FileSystemEntry, folder: string, found: File[]): Promise<void> {
  const path = folder + entry.name;
  try {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) =>
        (entry as FileSystemFileEntry).file(resolve, reject),
      );
      if (folder !== '') Object.defineProperty(file, 'webkitRelativePath', { value: path });
      found.push(file);
      checkLimit('files', found.length, 'what was dropped');
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    // A reader gives a part at a time (Chromium: 100), and nothing once it is through.
    for (;;) {
      const part = await new Promise<FileSystemEntry[]>((resolve, reject) =>
        reader.readEntries(resolve, reject),
      );
      if (part.length === 0) return;
      for (const inner of part) await collect(inner, `${path}/`, found);
    }
  } catch (error) {
    throw readError(error, path);
  }
}

/** The bytes of a file within a limit. Throws `INVALID_ARGUMENT` before reading one that is larger. */
export async function readBytes(file: File, limit: keyof typeof limits): Promise<Uint8Array> {
  const path = pathOf(file);
  checkLimit(limit, file.size, path);
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw readError(error, path);
  }
}

/** The text of a UTF-8 file within a limit, without a byte-order mark. Throws `DATA_INVALID` for bytes that are no UTF-8. */
export async function readUtf8(file: File, limit: keyof typeof limits): Promise<string> {
  const bytes = await readBytes(file, limit);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: pathOf(file),
      expected: 'text in UTF-8',
      got: 'bytes that are none',
      hint: 'Save it as UTF-8 in a text editor, and drop it again.',
      cause,
    });
  }
}

/** An error of the browser's while it reads a file of the person's; ours as they are. */
export function readError(error: unknown, path: string): unknown {
  // FileReader's and the entries' errors; anything else is a bug or ours.
  if (!(error instanceof DOMException)) return error;
  return new TenonError({
    code: 'STORAGE_FAILED',
    where: path,
    message: `this file can't be read: ${error.message}`,
    hint: 'It may have changed or gone since: drop it again.',
    cause: error,
  });
}
