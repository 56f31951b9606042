/** Turns Ctrl-C (and SIGTERM) into an abort; a second one ends the process at once. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** 128 + the number of the signal that came. */
  exitCode(): number;
  /** Gives the signals back to the process. */
  release(): void;
}

const numbers = { SIGINT: 2, SIGTERM: 15 } as const;

export function interruption(onFirst: () => void): Interruption {
  const controller = new AbortController();
  let code = 130;
  const handle = (name: NodeJS.Signals): void => {
    code = 128 + numbers[name as keyof typeof numbers];
    if (controller.signal.aborted) process.exit(code);
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
