import { type ErrorCode, isTenonError, type TenonError } from '@tenon-ml/core';
import { expect } from 'vitest';

/** A file as a folder's drop gives it: with its path. */
export function fileOf(path: string, content: Uint8Array | string = 'x'): File {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const file = new File([content as Uint8Array<ArrayBuffer>], name);
  Object.defineProperty(file, 'webkitRelativePath', { value: path.includes('/') ? path : '' });
  return file;
}

/** A file that says it is so large, and fails the test where it is read. */
export function largeFile(path: string, size: number): File {
  const file = fileOf(path);
  const unread = (): never => {
    throw new Error(`${path} was read`);
  };
  return Object.defineProperties(file, {
    size: { value: size },
    arrayBuffer: { value: unread },
    stream: { value: unread },
    text: { value: unread },
    slice: { value: unread },
  });
}

/** Throws unless `f` rejects with a TenonError of this code, whose message has all of `parts`. */
export async function expectError(
  f: () => unknown,
  code: ErrorCode,
  ...parts: readonly string[]
): Promise<TenonError> {
  let error: unknown;
  try {
    await f();
  } catch (thrown) {
    error = thrown;
  }
  if (!isTenonError(error)) throw error ?? new Error(`expected ${code}, got no error`);
  expect(error.code, error.message).toBe(code);
  for (const part of parts) expect(error.message).toContain(part);
  return error;
}
