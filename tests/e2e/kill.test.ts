import { watch } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKey } from '@tenon-ml/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filesIn, fixtures, lastJson, outcome, start, tenon } from './tenon.js';

const experiment = join(fixtures, 'experiment.ts');
const kills = 20;
/** Long enough that it doesn't end before it has been killed so often, on any machine. */
const length = 'epochs=40';
let folder: string;
let whole: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-kill-'));
  whole = join(folder, 'whole');
  const ended = await tenon(['train', experiment, '--out', whole, '--seed', '11', '--set', length, '--json']);
  expect(ended.code, ended.stderr).toBe(0);
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Kills a training at a moment: after a delay from its start, or while the nth checkpoint from then is being written. */
async function killed(
  args: readonly string[],
  run: string,
  moment: { delay: number } | { write: number },
): Promise<boolean> {
  const { child, ended, line } = start([...args, '--json']);
  const kill = (): void => void child.kill('SIGKILL');
  let stop = (): void => {};
  // It may also end before its moment comes; then it was not killed.
  await line((text) => text.includes('"type":"start"')).then(
    () => {
      if ('delay' in moment) {
        const timer = setTimeout(kill, moment.delay);
        stop = () => clearTimeout(timer);
        return;
      }
      let writes = 0;
      // The temporary file is there, and its rename is not: a write under way.
      const watcher = watch(run, { recursive: true }, (_, name) => {
        if (name?.endsWith('.tmp') && ++writes >= moment.write) kill();
      });
      stop = () => watcher.close();
    },
    () => {},
  );
  const { code } = await ended;
  stop();
  return code === null;
}

describe('kill -9', () => {
  test(`after ${kills} of them, at random moments and while checkpoints are written, the run is the one that never stopped`, async () => {
    const run = join(folder, 'killed');
    const draws = createKey(20261123).uniform([3 * kills]).data;
    let done = 0;
    let lives = 0;
    let tornWrites = 0;
    const leftovers = new Set<string>();
    while (done < kills && lives < 3 * kills) {
      const draw = draws[lives];
      const moment =
        lives % 2 === 0 ? { delay: Math.floor(400 * draw) } : { write: 1 + Math.floor(6 * draw) };
      const args =
        lives === 0 ? ['train', experiment, '--out', run, '--seed', '11', '--set', length] : ['resume', run];
      lives++;
      if (!(await killed(args, run, moment))) break;
      done++;
      // What is left of a write that was cut off; the next ones clear it away only when it is old.
      const fresh = (await filesIn(run)).filter((name) => name.endsWith('.tmp') && !leftovers.has(name));
      for (const name of fresh) leftovers.add(name);
      if (fresh.length > 0) tornWrites++;
    }
    const last = await tenon(['resume', run, '--json']);
    expect(last.code, last.stderr).toBe(0);
    expect(done).toBe(kills);
    expect(tornWrites, 'kills in the middle of a write').toBeGreaterThan(0);
    expect(await outcome(run)).toEqual(await outcome(whole));
    const evaluated = await tenon(['evaluate', run, '--json']);
    expect(lastJson(evaluated).test).toEqual(lastJson(last).test);
  }, 300_000);
});

describe('Ctrl-C', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s ends at the step, saves, and exits %i; the run goes on from there',
    async (signal, code) => {
      const run = join(folder, signal);
      const { child, ended, line } = start([
        'train',
        experiment,
        '--out',
        run,
        '--seed',
        '11',
        '--set',
        length,
        '--json',
      ]);
      await line((text) => text.includes('"type":"epoch"'));
      child.kill(signal);
      const stopped = await ended;
      expect(stopped.code, stopped.stderr).toBe(code);
      const result = lastJson(stopped);
      expect(result.reason).toBe('aborted');
      const files = await filesIn(run);
      expect(files).toContain(`checkpoints/step-${String(result.step).padStart(9, '0')}.safetensors`);
      expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
      const resumed = await tenon(['resume', run, '--json']);
      expect(resumed.code, resumed.stderr).toBe(0);
      expect(await outcome(run)).toEqual(await outcome(whole));
    },
    60_000,
  );
});
