import { WorkerError } from './calls.js';

/** How long a browser may take to free what a worker held that was closed just now, in milliseconds. */
const GRACE = 1000;

/**
 * Runs `f` while this worker alone holds `name`, of all tabs of this browser. Throws 'IN_USE' where another holds it, after
 * so many milliseconds of waiting. The browser frees what a closed tab or an ended worker held, a little later.
 */
export async function holding<T>(name: string, f: () => Promise<T>, wait = GRACE): Promise<T> {
  let held = false;
  try {
    return await navigator.locks.request(name, { signal: AbortSignal.timeout(wait) }, () => {
      held = true;
      return f();
    });
  } catch (error) {
    if (held) throw error;
    throw new WorkerError({ code: 'IN_USE', message: `${name} is held by another tab`, where: name });
  }
}

/** The names that somebody holds at the moment. */
export async function heldNames(): Promise<ReadonlySet<string>> {
  const { held = [] } = await navigator.locks.query();
  return new Set(held.flatMap(({ name }) => name ?? []));
}

export const runLock = (id: string): string => `tenon-run ${id}`;

/** Shared by the tabs that have this data open. */
export const dataLock = (id: string): string => `tenon-data ${id}`;
