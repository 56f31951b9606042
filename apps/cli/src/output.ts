import { isTenonError } from '@tenon-ml/core';
import { createTrainView, type TrainView } from './view/train_view.js';

/** Where a command writes: results to stdout, as text for people or as JSON for machines; remarks to stderr. */
export interface Output {
  readonly json: boolean;
  /** A remark that is no part of the result. */
  note(text: string): void;
  /** The result of a command: with --json one line, otherwise the text. */
  result(value: object, text: string): void;
  /** An error, as one message; with --json as `{ "error": … }` on stdout. */
  fail(error: unknown): void;
  trainView(): TrainView;
}

/** A figure in six digits, anything else as JSON. */
export function formatResult(value: unknown): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(6))) : JSON.stringify(value);
}

/**
 * Lets a program outlive the reader of its output (`tenon recipes | head -1`, a `tee` that died): what is written
 * afterwards goes nowhere, and a training goes on to its end.
 */
export function outliveReader(stream: NodeJS.WritableStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
  });
}

export function createOutput(json: boolean): Output {
  const { stdout, stderr } = process;
  return {
    json,
    note: (text) => void stderr.write(`${text}\n`),
    result: (value, text) => void stdout.write(json ? `${JSON.stringify(value)}\n` : `${text}\n`),
    fail(error) {
      const known = isTenonError(error);
      // What isn't ours is a bug: the stack is what its report needs.
      const text = known
        ? error.message
        : error instanceof Error
          ? (error.stack ?? error.message)
          : String(error);
      if (json) {
        const described = known ? error.toJSON() : { code: 'INTERNAL', message: String(error) };
        stdout.write(`${JSON.stringify({ error: described })}\n`);
      }
      stderr.write(
        `${known ? 'Error: ' : "Internal error (please report it, if it isn't your own code's): "}${text}\n`,
      );
    },
    trainView: () =>
      createTrainView({ json, stdout, isTerminal: stdout.isTTY === true, columns: stdout.columns }),
  };
}
