import { WorkerError } from './calls.js';

/**
 * Runs `f` while this worker alone holds `name`, of all tabs of this browser. Throws 'IN_USE' where another holds it, after
 * so many milliseconds of waiting. The browser frees what a closed tab or an ended worker held, a little later.
 */
export async function holding<T>(name: string, f: () => Promise<T>, wait = 0): Promise<T> {
  const inUse = (): never => {
    throw new WorkerError({ code: 'IN_USE', message: `${name} is held by another tab`, where: name });
  };
  if (wait === 0) {
    return navigator.locks.request(name, { ifAvailable: true }, (lock) => (lock ? f() : inUse()));
  }
  let held = false;
  const given = (): Promise<T> => {
    held = true;
    return f();
  };
  try {
    return await navigator.locks.request(name, { signal: AbortSignal.timeout(wait) }, given);
  } catch (error) {
    if (held) throw error;
    return inUse();
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
