import type { RunEvent } from '@tenon-ml/train';
import { createLogUpdate } from 'log-update';
import pc from 'picocolors';
import { endLine, epochLine, liveLines, plain, startLine, truncate } from './lines.js';
import { trackProgress } from './progress.js';

/** Shows a training as it happens. */
export interface TrainView {
  event(event: RunEvent): void;
  /** A line of its own, above whatever is redrawn. */
  note(text: string): void;
  /** Takes away what is redrawn, and leaves the lines; what comes afterwards is not shown. */
  close(): void;
}

export interface TrainViewOptions {
  /** JSON lines for machines, whatever the output is. */
  readonly json: boolean;
  readonly stdout: NodeJS.WritableStream;
  /** Whether `stdout` is a terminal, where lines can be redrawn. */
  readonly isTerminal: boolean;
  /** The width of a terminal that doesn't tell its own; 80 by default. */
  readonly columns?: number;
  /** Milliseconds; `performance.now` by default. */
  readonly now?: () => number;
}

/** How often the live part is redrawn at most, and how often JSON tells of a step: milliseconds between two. */
const paintInterval = 100;
const stepInterval = 1000;

/**
 * The view for an output:
 *
 * - `json`: every event as one line of JSON, as `@tenon-ml/train` describes them, but of the steps at most one a second;
 *   a note is `{ "type": "note", "text": … }`.
 * - a terminal: epochs as lines, below them a bar and figures that are redrawn, at most ten times a second. Lines are
 *   cut to the terminal's width; `NO_COLOR` switches colours off.
 * - anything else (and `TERM=dumb`): one line at the start, one an epoch, one at the end, without escape codes.
 */
export function createTrainView(options: TrainViewOptions): TrainView {
  const now = options.now ?? (() => performance.now());
  if (options.json) return jsonView(options.stdout, now);
  if (options.isTerminal && process.env.TERM !== 'dumb') return liveView(options, now);
  return plainView(options.stdout, now);
}

function jsonView(stdout: NodeJS.WritableStream, now: () => number): TrainView {
  let lastStep = Number.NEGATIVE_INFINITY;
  const print = (value: object): void => void stdout.write(`${JSON.stringify(value)}\n`);
  return {
    event(event) {
      if (event.type === 'step') {
        if (now() - lastStep < stepInterval) return;
        lastStep = now();
      }
      print(event);
    },
    note: (text) => print({ type: 'note', text }),
    close() {},
  };
}

function plainView(stdout: NodeJS.WritableStream, now: () => number): TrainView {
  const progress = trackProgress(now);
  const print = (line: string): void => void stdout.write(`${line}\n`);
  return {
    event(event) {
      progress.update(event);
      if (event.type === 'start') print(startLine(event));
      if (event.type === 'epoch') print(epochLine(event, progress.current(), plain));
      if (event.type === 'end') print(endLine(event, progress.current()));
    },
    note: print,
    close() {},
  };
}

function liveView(options: TrainViewOptions, now: () => number): TrainView {
  const colors = pc.createColors(!process.env.NO_COLOR);
  const progress = trackProgress(now);
  const screen = createScreen(options);
  let state: 'waiting' | 'training' | 'finishing' | 'closed' = 'waiting';
  let lastPaint = Number.NEGATIVE_INFINITY;

  /** Writes lines above the live part, and the live part anew. */
  const paint = (...above: string[]): void => {
    lastPaint = now();
    const live =
      state === 'training'
        ? liveLines(progress.current(), colors, screen.columns())
        : state === 'finishing'
          ? [truncate(colors.dim('Testing and saving …'), screen.columns())]
          : [];
    screen.draw(above, live);
  };
  const fitted = (line: string): string => truncate(line, screen.columns());

  return {
    event(event) {
      if (state === 'closed') return;
      progress.update(event);
      switch (event.type) {
        case 'start':
          state = 'training';
          paint(fitted(startLine(event)));
          break;
        case 'step':
          if (now() - lastPaint >= paintInterval) paint();
          break;
        case 'epoch':
          paint(fitted(epochLine(event, progress.current(), colors, screen.columns())));
          break;
        case 'end':
          state = 'finishing';
          paint(...endLine(event, progress.current(), screen.columns()).split('\n').map(fitted));
          break;
        case 'report':
          state = 'waiting';
          paint();
          break;
      }
    },
    // Not cut: a note may hold a path that somebody wants to copy. It is never redrawn, so it may wrap.
    note: (text) => paint(text),
    close() {
      state = 'closed';
      paint();
    },
  };
}

interface Screen {
  columns(): number;
  draw(above: readonly string[], live: readonly string[]): void;
}

const beginSynchronized = '\u001b[?2026h';
const endSynchronized = '\u001b[?2026l';

/**
 * Lines that stay, above lines that are redrawn. What a change takes (erasing, lines, the live part) leaves in one
 * write, as one synchronized update, so that no terminal shows a state in between.
 *
 * The cursor stays visible: a process that is killed could not bring it back.
 */
function createScreen({ stdout, columns: standard }: TrainViewOptions): Screen {
  const terminal = stdout as NodeJS.WritableStream & { readonly columns?: number; readonly rows?: number };
  let pending = '';
  const buffer = {
    write(text: string) {
      pending += text;
      return true;
    },
    get columns() {
      return terminal.columns ?? standard ?? 80;
    },
    get rows() {
      return terminal.rows ?? 24;
    },
  };
  const update = createLogUpdate(buffer as unknown as NodeJS.WritableStream, { showCursor: true });
  let drawn = false;
  return {
    columns: () => buffer.columns,
    draw(above, live) {
      if (drawn && (above.length > 0 || live.length === 0)) update.clear();
      for (const line of above) buffer.write(`${line}\n`);
      if (live.length > 0) update(live.join('\n'));
      drawn = live.length > 0;
      if (pending !== '') stdout.write(`${beginSynchronized}${pending}${endSynchronized}`);
      pending = '';
    },
  };
}
