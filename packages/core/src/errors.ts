/** Stable identifiers of what went wrong. Programs match on these; messages may be reworded at any time. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'SHAPE_MISMATCH'
  | 'DTYPE_MISMATCH'
  | 'STRUCTURE_MISMATCH'
  | 'LABEL_OUT_OF_RANGE'
  | 'NOT_FINITE'
  | 'IMPURE_FUNCTION'
  | 'TENSOR_CONSUMED'
  | 'SHARED_LAYER'
  | 'MISSING_RANDOM_KEY'
  | 'BACKEND_UNAVAILABLE'
  | 'BACKEND_MISMATCH'
  | 'BACKEND_FAILED'
  | 'DEVICE_LOST'
  | 'OUT_OF_MEMORY'
  | 'UNKNOWN_NAME'
  | 'SAFETENSORS_INVALID'
  | 'ARTIFACT_INVALID'
  | 'FORMAT_TOO_NEW'
  | 'CHECKPOINT_INVALID'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'STORAGE_FULL'
  | 'STORAGE_FAILED'
  | 'DOWNLOAD_FAILED'
  | 'DATA_INVALID'
  | 'USAGE';

/** What a message is made of. `expected` and `got` read as the two halves of one sentence. */
export interface ErrorParts {
  readonly code: ErrorCode;
  /** The layer's path, the file and line, the record's number. */
  readonly where?: string;
  /** What was expected, without a full stop. Either `expected` or `message` is given. */
  readonly expected?: string;
  /** What came instead. */
  readonly got?: string;
  /** A sentence of its own, for what doesn't fit "expected … got …". */
  readonly message?: string;
  /** What to do, as an imperative. */
  readonly hint?: string;
  readonly cause?: unknown;
}

const brand = Symbol.for('@tenon-ml/core/TenonError');

/**
 * The one error class of Tenon: `where: expected E, got G. Hint.`
 *
 * Test with `isTenonError(error)` rather than `instanceof`: it also recognises errors of another copy of this
 * package in the same process.
 */
export class TenonError extends Error {
  override readonly name = 'TenonError';
  readonly code: ErrorCode;
  readonly where: string | undefined;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly hint: string | undefined;

  constructor(parts: ErrorParts) {
    super(formatMessage(parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = parts.code;
    this.where = parts.where;
    this.expected = parts.expected;
    this.got = parts.got;
    this.hint = parts.hint;
    Object.defineProperty(this, brand, { value: true });
  }

  /** The same error, with the place around: `step 3: conv1: expected …`. */
  within(where: string): TenonError {
    const { code, expected, got, hint, cause } = this;
    const inner = this.where ? this.message.slice(this.where.length + 2) : this.message;
    const error = new TenonError({
      code,
      where: this.where ? `${where}, ${this.where}` : where,
      message: inner,
      cause,
    });
    return Object.assign(error, { expected, got, hint });
  }

  /** For machines: `tenon --json` prints this. */
  toJSON(): {
    code: ErrorCode;
    message: string;
    where?: string;
    expected?: string;
    got?: string;
    hint?: string;
  } {
    const { code, message, where, expected, got, hint } = this;
    return { code, message, ...omitUndefined({ where, expected, got, hint }) };
  }
}

/** Whether `error` is a `TenonError`, of this copy of the package or of another. */
export function isTenonError(error: unknown): error is TenonError {
  return typeof error === 'object' && error !== null && brand in error;
}

/**
 * The names in `known` that are nearest to `name` (Levenshtein distance of at most a third of its length, or a
 * common prefix), best first: for "unknown recipe … did you mean …".
 */
export function nearestNames(name: string, known: readonly string[], count = 3): string[] {
  const limit = Math.max(2, Math.ceil(name.length / 3));
  return known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(
      ({ candidate, distance }) =>
        distance <= limit || (name.length > 2 && candidate.toLowerCase().startsWith(name.toLowerCase())),
    )
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

/** The error for a name that a set of names doesn't have, with the nearest ones as its hint. */
export function unknownName(
  kind: string,
  name: string,
  known: readonly string[],
  where?: string,
): TenonError {
  const near = nearestNames(name, known);
  const hint =
    near.length > 0
      ? `Did you mean ${near.map((candidate) => `'${candidate}'`).join(' or ')}?`
      : known.length > 0
        ? `Known: ${known.join(', ')}.`
        : undefined;
  return new TenonError({ code: 'UNKNOWN_NAME', where, message: `There is no ${kind} '${name}'.`, hint });
}

function formatMessage({ where, expected, got, message, hint }: ErrorParts): string {
  const sentence =
    message ??
    (got === undefined ? `expected ${expected ?? 'something else'}` : `expected ${expected}, got ${got}`);
  const ended = /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
  return `${where ? `${where}: ` : ''}${ended}${hint ? ` ${hint}` : ''}`;
}

function omitUndefined<T extends Record<string, string | undefined>>(record: T): { [K in keyof T]?: string } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: string;
  };
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[j] + 1, current[j - 1] + 1));
    }
    previous = current;
  }
  return previous[b.length];
}
