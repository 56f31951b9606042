/** Runs one thing after another: what is asked for while a step is under way waits for its end. */
export type Turns = <T>(f: () => Promise<T> | T) => Promise<T>;

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (f) => {
    const result = last.then(f);
    last = result.catch(() => {});
    return result;
  };
}

/** A gate that a loop waits at. */
export interface Gate {
  readonly open: boolean;
  set(open: boolean): void;
  /** Resolves once it is open. */
  pass(): Promise<void>;
}

export function createGate(): Gate {
  let open = true;
  let waiting: (() => void)[] = [];
  return {
    get open() {
      return open;
    },
    set(next) {
      open = next;
      if (!open) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    pass: () => (open ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
