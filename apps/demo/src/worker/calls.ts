import { isTenonError } from '@tenon-ml/core/errors';
import { type TransferHandler, transferHandlers } from 'comlink';
import type { PlainError } from './protocol.js';

/** An error on the page's side of a call. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
  readonly plain: PlainError;

  constructor(plain: PlainError) {
    super(plain.message);
    this.plain = plain;
  }
}

export function plainError(error: unknown): PlainError {
  if (error instanceof WorkerError) return error.plain;
  if (isTenonError(error)) {
    const { code, message, where, expected, got, hint } = error;
    return {
      code,
      message,
      ...(where !== undefined && { where }),
      ...(expected !== undefined && { expected }),
      ...(got !== undefined && { got }),
      ...(hint !== undefined && { hint }),
    };
  }
  return { code: 'other', message: error instanceof Error ? error.message : String(error) };
}

/** What `f` gives; its errors by codes that say more of what a person did. */
export async function renaming<T>(
  codes: { readonly [code: string]: string },
  f: () => Promise<T>,
): Promise<T> {
  try {
    return await f();
  } catch (error) {
    const plain = plainError(error);
    if (!Object.hasOwn(codes, plain.code)) throw error;
    throw new WorkerError({ ...plain, code: codes[plain.code] });
  }
}

/** comlink passes a message and a stack; this keeps the code too, by which the page finds words for it. Both sides call it. */
export function keepErrorCodes(): void {
  const before = transferHandlers.get('throw') as TransferHandler<unknown, unknown>;
  const handler: TransferHandler<{ value: unknown }, PlainError> = {
    canHandle: (value): value is { value: unknown } => before.canHandle(value),
    serialize: ({ value }) => [plainError(value), []],
    deserialize(plain) {
      throw new WorkerError(plain);
    },
  };
  transferHandlers.set('throw', handler);
}
