import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tail, toolRunner } from '../src/node/tool.js';
import { openWork, removeStale, settle } from '../src/node/work.js';

const isWhole = (folder: string): boolean => existsSync(join(folder, 'whole.json'));

let cache: string;
beforeEach(async () => {
  cache = join(await mkdtemp(join(tmpdir(), 'tenon-cuda-work-')), 'cache');
});
afterEach(() => rm(join(cache, '..'), { recursive: true, force: true }));

/** The number of a process that has ended. */
function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  return new Promise((resolve) => child.once('close', () => resolve(child.pid ?? 0)));
}

describe('a work folder', () => {
  test('is gone when it is closed, with the cache that held nothing else', async () => {
    const work = openWork(cache);
    expect(readdirSync(cache)).toEqual([basename(work.folder)]);
    await work.close();
    expect(existsSync(cache)).toBe(false);
  });

  test('leaves its log', async () => {
    const work = openWork(cache);
    work.log('said');
    await work.close();
    expect(await readFile(work.logFile, 'utf8')).toBe('said');
    expect(readdirSync(cache)).toEqual(['setup.log']);
  });

  test('of a process that runs is left alone', async () => {
    const work = openWork(cache);
    expect(await removeStale(cache)).toEqual([process.pid]);
    expect(existsSync(work.folder)).toBe(true);
  });

  test('of a process that is gone is removed', async () => {
    const folder = join(cache, `work-${await endedProcess()}-abcdef`);
    await mkdir(folder, { recursive: true });
    expect(await removeStale(cache)).toEqual([]);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('of a process whose number another one has now is removed', async () => {
    const work = openWork(cache);
    const owner = join(work.folder, 'owner');
    const [began, ...machine] = (await readFile(owner, 'utf8')).split(' ');
    await writeFile(owner, [Number(began) - 1, ...machine].join(' '));
    expect(await removeStale(cache)).toEqual([]);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('of another machine that shares the home is left alone, for a day', async () => {
    const work = openWork(cache);
    const owner = join(work.folder, 'owner');
    await writeFile(owner, '1 another start elsewhere');
    expect(await removeStale(cache)).toEqual([process.pid]);
    const longAgo = new Date(Date.now() - 25 * 3600 * 1000);
    await utimes(work.folder, longAgo, longAgo);
    expect(await removeStale(cache)).toEqual([]);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('is removed with what its process left running', async () => {
    const work = openWork(cache);
    const child = spawn('sleep', ['100'], { detached: true });
    const ended = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
    work.child(child.pid);
    await writeFile(join(work.folder, 'owner'), `1 another start ${hostname()}`);
    await removeStale(cache);
    expect(await ended).toBe('SIGKILL');
    expect(readdirSync(cache)).toEqual([]);
  });
});

describe('a folder that is whole', () => {
  const made = async (path: string, text: string): Promise<void> => {
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'whole.json'), text);
  };

  test('goes to its place, but not over another whole one', async () => {
    const work = openWork(cache);
    const [first, second, place] = [join(work.folder, '1'), join(work.folder, '2'), join(cache, 'a/place')];
    await made(first, 'first');
    await made(second, 'second');
    await settle(first, place, isWhole, work);
    await settle(second, place, isWhole, work);
    expect(await readFile(join(place, 'whole.json'), 'utf8')).toBe('first');
  });

  test('takes the place of what is not whole', async () => {
    const work = openWork(cache);
    const [whole, place] = [join(work.folder, '1'), join(cache, 'place')];
    await mkdir(join(place, 'half'), { recursive: true });
    await made(whole, 'whole');
    await settle(whole, place, isWhole, work);
    expect(readdirSync(place)).toEqual(['whole.json']);
  });
});

describe('a program', () => {
  test('is run with its output in order, in the log too, and its temporary files in the work folder', async () => {
    const work = openWork(cache);
    const script = 'console.log(process.env.TMPDIR); console.error("bad"); process.exitCode = 3';
    const ran = await toolRunner(work, undefined)([process.execPath, '-e', script]);
    expect(ran).toMatchObject({ code: 3, signal: null, stdout: `${work.temporary}\n` });
    expect(ran.output).toContain('bad\n');
    await work.close();
    const log = await readFile(work.logFile, 'utf8');
    expect(log).toContain('bad\n');
    expect(log).toContain('[3]');
  });

  test('that is not there is told from one that fails', async () => {
    expect(await toolRunner(openWork(cache), undefined)(['tenon-no-such-program'])).toMatchObject({
      code: null,
      failure: 'ENOENT',
    });
  });

  test('ends with all that it started when the set-up is ended', async () => {
    const work = openWork(cache);
    const controller = new AbortController();
    const running = toolRunner(work, controller.signal)(['sh', '-c', 'sleep 100 & echo $! > started; wait']);
    const started = join(work.folder, 'started');
    await expect.poll(() => existsSync(started) && readFile(started, 'utf8')).toMatch(/\d+/);
    const grandchild = Number(await readFile(started, 'utf8'));
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await expect.poll(() => isGone(grandchild)).toBe(true);
  });
});

/** A process that has ended may still have a number, until it is asked how. */
async function isGone(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
}

test("a message has a program's last lines", () => {
  expect(tail('1\n2\n\n3\r\n4\n5  \n', 3)).toBe('    3\n    4\n    5');
  expect(tail(' \n')).toBe('');
});
