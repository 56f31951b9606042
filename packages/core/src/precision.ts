import type { Backend } from './backend.js';
import { engineBackend } from './engine.js';
import { TenonError, unknownName } from './errors.js';
import type { Precision } from './recorder.js';

const precisions: readonly Precision[] = ['float32', 'mixed-float16'];

/**
 * Throws `BACKEND_UNAVAILABLE` where compiled functions of a backend can't compute in a precision, or where it isn't started,
 * so that nobody can know; `UNKNOWN_NAME` for what is none. For those who want to know before the first call.
 */
export function checkPrecision(precision: Precision, backend: Backend, where: string): void {
  if (precision === 'float32') return;
  if (!precisions.includes(precision)) throw unknownName('precision', precision, precisions, where);
  // Throws before it is started: what it can do isn't known then.
  engineBackend(backend);
  const { recorder } = backend;
  if (recorder?.precisions?.includes(precision)) return;
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    where,
    expected: `a backend that computes in '${precision}'`,
    got: `'${backend.name}', which ${recorder ? 'computes in float32 here' : "doesn't record"}`,
    hint: "Use WebGPU on a GPU with the feature 'shader-f16', or leave `precision` out.",
  });
}
