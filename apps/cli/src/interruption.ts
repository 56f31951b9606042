/** Turns Ctrl-C (and SIGTERM) into an abort; a second one ends the process at once. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** 128 + the number of the signal that came. */
  exitCode(): number;
  /** Gives the signals back to the process. */
  release(): void;
}

/** A command was ended by Ctrl-C, and has nothing to show. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly exitCode: number;

  constructor(exitCode: number, message = 'Stopped before the first step: there is no run.') {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What of the process it uses, for tests. */
export interface InterruptionOptions {
  readonly exit?: (code: number) => void;
  /** Milliseconds. */
  readonly now?: () => number;
}

const numbers = { SIGINT: 2, SIGTERM: 15 } as const;

/**
 * How far apart two signals are to be two: milliseconds. A Ctrl-C goes to all programs of the terminal's foreground, and
 * `npm run` and the like pass theirs on, so that one keystroke comes here twice.
 */
const apart = 500;

export function interruption(onFirst: () => void, options: InterruptionOptions = {}): Interruption {
  const { exit = process.exit, now = () => performance.now() } = options;
  const controller = new AbortController();
  let code = 130;
  let first = 0;
  const handle = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      if (now() - first >= apart) exit(128 + numbers[name as keyof typeof numbers]);
      return;
    }
    code = 128 + numbers[name as keyof typeof numbers];
    first = now();
    controller.abort();
    onFirst();
  };
  for (const name of Object.keys(numbers)) process.on(name, handle);
  return {
    signal: controller.signal,
    exitCode: () => code,
    release() {
      for (const name of Object.keys(numbers)) process.off(name, handle);
    },
  };
}
