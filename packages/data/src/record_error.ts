import { isTenonError, TenonError } from '@tenon-ml/core';

/** What a user's function threw at a record, with the record. */
export function recordError(cause: unknown, stage: string, record: string): TenonError {
  return new TenonError({
    code: isTenonError(cause) ? cause.code : 'DATA_INVALID',
    where: `${stage}, ${record}`,
    message: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}
