import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { filesIn, fixtures, lastJson, start, tenon } from './tenon.js';

const experiment = join(fixtures, 'experiment.ts');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-processes-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const train = (run: string, epochs: number) => [
  'train',
  experiment,
  '--out',
  run,
  '--set',
  `epochs=${epochs}`,
  '--json',
];

test('a reader that leaves (`| head -1`) ends neither a list nor a training', async () => {
  const run = join(folder, 'unread');
  for (const [args, options] of [
    [['recipes'], {}],
    [train(run, 2), {}],
  ] as const) {
    const { child, ended } = start(args, options);
    child.stdout?.once('data', () => child.stdout?.destroy());
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toBe('');
  }
  expect(await filesIn(run)).toContain('report.json');
});

test('a Ctrl-C that npm passes on a second time saves all the same', async () => {
  const { child, ended, line } = start(train(join(folder, 'doubled'), 50));
  await line((text) => text.includes('"type":"epoch"'));
  child.kill('SIGINT');
  child.kill('SIGINT');
  const stopped = await ended;
  expect(stopped.code, stopped.stderr).toBe(130);
  expect(lastJson(stopped).reason).toBe('aborted');
});

test('a run that is under way is nobody else’s; once its process is killed, it is', async () => {
  const run = join(folder, 'shared');
  const { child, ended, line } = start(train(run, 50));
  await line((text) => text.includes('"type":"epoch"'));
  const other = await tenon(['resume', run, '--json']);
  expect(other.code).toBe(1);
  expect(lastJson(other).error).toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('another process is training into this folder'),
  });
  child.kill('SIGKILL');
  await ended;
  const resumed = start(['resume', run, '--json']);
  await resumed.line((text) => text.includes('"resumed":true'));
  resumed.child.kill('SIGTERM');
  expect((await resumed.ended).code).toBe(143);
});
