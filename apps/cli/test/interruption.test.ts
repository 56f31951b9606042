import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { type Interruption, interruption } from '../src/interruption.js';
import { outliveReader } from '../src/output.js';

let released: Interruption | undefined;
afterEach(() => released?.release());

/** An interruption whose clock and exit are the test's. */
function interruptible() {
  const seen = { firsts: 0, exits: [] as number[], time: 1000 };
  const interrupted = interruption(() => seen.firsts++, {
    exit: (code) => void seen.exits.push(code),
    now: () => seen.time,
  });
  released = interrupted;
  return { seen, interrupted };
}

describe('Ctrl-C', () => {
  test('aborts, and says so once', () => {
    const { seen, interrupted } = interruptible();
    expect(interrupted.signal.aborted).toBe(false);
    process.emit('SIGINT', 'SIGINT');
    expect(interrupted.signal.aborted).toBe(true);
    expect(seen).toMatchObject({ firsts: 1, exits: [] });
    expect(interrupted.exitCode()).toBe(130);
  });

  test('that arrives twice within half a second is one: npm passes on what the terminal has sent to both', () => {
    const { seen } = interruptible();
    process.emit('SIGINT', 'SIGINT');
    process.emit('SIGINT', 'SIGINT');
    seen.time += 499;
    process.emit('SIGTERM', 'SIGTERM');
    expect(seen).toMatchObject({ firsts: 1, exits: [] });
    seen.time += 1;
    process.emit('SIGINT', 'SIGINT');
    expect(seen).toMatchObject({ firsts: 1, exits: [130] });
  });

  test('leaves the signals to the process once it is released', () => {
    const before = process.listenerCount('SIGINT');
    const { interrupted } = interruptible();
    expect(process.listenerCount('SIGINT')).toBe(before + 1);
    interrupted.release();
    expect(process.listenerCount('SIGINT')).toBe(before);
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});

test('SIGTERM exits with its own number', () => {
  const { seen, interrupted } = interruptible();
  process.emit('SIGTERM', 'SIGTERM');
  expect(interrupted.exitCode()).toBe(143);
  seen.time += 5000;
  process.emit('SIGTERM', 'SIGTERM');
  expect(seen.exits).toEqual([143]);
});

test('a reader that is gone is no error, anything else is', () => {
  const stream = new PassThrough();
  outliveReader(stream);
  const emit = (code: string) => stream.emit('error', Object.assign(new Error(code), { code }));
  emit('EPIPE');
  expect(() => emit('EIO')).toThrow('EIO');
});
