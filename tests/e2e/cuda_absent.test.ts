import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filesIn, lastJson, tenon } from './tenon.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-cuda-'));
});
afterAll(() => rm(folder, { recursive: true }));

const train = ['train', 'digits-cnn', '--epochs', '1'];

/** What each is, and the folder of set-ups with it. */
const obstacles: readonly (readonly [string, () => Promise<string>, RegExp])[] = [
  ['no set-up', async () => join(folder, 'none'), /it has not been set up/],
  [
    'a build that somebody has removed',
    async () => {
      const home = join(folder, 'gone');
      await mkdir(home, { recursive: true });
      await writeFile(join(home, 'current.json'), '{"format":1,"build":"cpu-2.21.0"}');
      return home;
    },
    /the binding that was built is gone from .*cpu-2\.21\.0/,
  ],
  [
    'a binding that cannot be loaded',
    async () => {
      const home = join(folder, 'broken');
      const build = join(home, 'builds/broken');
      await mkdir(join(build, 'lib/napi-v8'), { recursive: true });
      await mkdir(join(build, 'dist'));
      await writeFile(join(home, 'current.json'), '{"format":1,"build":"broken"}');
      await writeFile(join(build, 'package.json'), '{}');
      await writeFile(join(build, 'dist/register_all_kernels.js'), '');
      await writeFile(join(build, 'lib/napi-v8/tfjs_binding.node'), 'no library');
      return home;
    },
    /the binding in .*broken could not be loaded \(.*\)/,
  ],
];

describe.each(obstacles)('with %s', (_, prepare, reason) => {
  let env: NodeJS.ProcessEnv = {};
  beforeAll(async () => {
    env = { ...process.env, TENON_CUDA_HOME: await prepare() };
  });

  test('`tenon doctor` explains, and says that this machine can train', async () => {
    const { code, stdout } = await tenon(['doctor'], { env });
    expect(code).toBe(0);
    const [line] = stdout.split('\n').filter((text) => text.startsWith('cuda '));
    expect(line).toMatch(reason);
    expect(line).toContain('tenon setup cuda');
    expect(stdout).toMatch(/This machine can train\.\n$/);
  });

  test('`--backend auto` goes on with wasm, and says why', async () => {
    const run = join(folder, `auto-${reason.source.length}`);
    const { code, stderr, stdout } = await tenon([...train, '--out', run], { env });
    expect(code).toBe(0);
    expect(stdout + stderr).toMatch(new RegExp(`on wasm \\(not on cuda: ${reason.source}.*\\), into`));
  });

  test('`--backend cuda` ends in one message, and leaves no run', async () => {
    const run = join(folder, 'none');
    const ended = await tenon([...train, '--backend', 'cuda', '--out', run, '--json'], { env });
    expect(ended.code).toBe(1);
    const { error } = lastJson(ended);
    expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringMatching(reason) });
    expect(ended.stderr.trim().split('\n')).toEqual([expect.stringMatching(reason)]);
    expect(await filesIn(run)).toEqual([]);
  });
});
