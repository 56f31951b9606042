import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { main } from '../src/index.js';
import { lockRun } from '../src/run_lock.js';
import { version } from '../src/version.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-program-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs a command line in this process. */
async function tenon(...args: string[]) {
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += text;
      return true;
    });
  }
  const code = await main(args);
  vi.restoreAllMocks();
  const json = () => JSON.parse(written.stdout.trim().split('\n').at(-1) ?? '');
  return { code, ...written, json };
}

describe('a call', () => {
  test('of nothing shows how to call it, and is a wrong one', async () => {
    const { code, stdout, stderr } = await tenon();
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: tenon');
    expect((await tenon('--json')).json().error).toEqual({ code: 'USAGE', message: 'No command was given.' });
  });

  test.each([['--help'], ['help'], ['train', '--help']])(
    'for help is a right one: %s %s',
    async (...args) => {
      const { code, stdout } = await tenon(...args.filter(Boolean));
      expect(code).toBe(0);
      expect(stdout).toContain('Usage: tenon');
    },
  );

  test('for the version tells it', async () => {
    expect(await tenon('--version')).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  test.each<[string[], RegExp]>([
    [['trian'], /unknown command 'trian'\n\(Did you mean train\?\)/],
    [['recipes', '--colour'], /unknown option '--colour'/],
    [['recipes', 'more'], /too many arguments/],
    [['train'], /missing required argument 'recipe\|file'/],
    [['train', 'digits-cnn', '--epochs', 'many'], /'many' is invalid\. Expected an integer of at least 0\./],
    [['train', 'digits-cnn', '--seed', '0.5'], /'0\.5' is invalid/],
    [['train', 'digits-cnn', '--out'], /argument missing/],
    [
      ['train', 'digits-cnn', '--precision', 'float16'],
      /'float16' is invalid\. Allowed choices are float32, mixed-float16\./,
    ],
    [['setup'], /expected what to set up, which is cuda, got nothing: tenon setup cuda/],
    [['setup', 'wasm'], /which is cuda, got 'wasm'/],
    [['setup', 'cuda', '--device', 'tpu'], /'tpu' is invalid\. Expected gpu or cpu\./],
  ])('that is wrong ends with 2, for machines too: %j', async (args, message) => {
    const plain = await tenon(...args);
    expect(plain).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
    const machines = await tenon(...args, '--json');
    expect(machines.code).toBe(2);
    expect(machines.stdout.trim().split('\n')).toHaveLength(1);
    expect(machines.json().error).toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) });
  });

  test.each([
    ['--json', 'recipes'],
    ['recipes', '--json'],
  ])('takes --json before and behind: %s %s', async (...args) => {
    const { code, json } = await tenon(...args);
    expect(code).toBe(0);
    expect(json().recipes.map(({ name }: { name: string }) => name)).toContain('digits-cnn');
  });
});

describe('--set', () => {
  test.each([
    ['epochs=many', /option epochs: expected a number such as \d+, got "many"/],
    ['epochs=', /expected a number such as \d+, got ""/],
    ['epochs=Infinity', /got Infinity/],
    ['epochs', /expected name=value, got 'epochs'/],
    ['epoch=3', /Did you mean 'epochs'\?/],
    ['toString=3', /no option 'toString'/],
  ])('%s is refused in words', async (assignment, message) => {
    const { code, json, stderr } = await tenon('train', 'digits-cnn', '--set', assignment, '--json');
    expect(code).toBe(1);
    expect(json().error.message).toMatch(message);
    expect(stderr).toMatch(/^Error: .*\n$/);
  });
});

describe('--backend, where there is no GPU', () => {
  beforeEach(() => {
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });
  const train = (backend: string) => {
    const run = join(folder, backend);
    const args = ['train', 'digits-cnn', '--epochs', '0', '--backend', backend, '--out', run, '--json'];
    return { run, args };
  };

  test('webgpu ends in one message with 1, and leaves no folder', async () => {
    const { run, args } = train('webgpu');
    const { code, json, stderr } = await tenon(...args);
    expect(code).toBe(1);
    expect(json().error).toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(stderr).toMatch(
      /^Error: .*webgpu: WebGPU is there, but it found no GPU\..* wasm runs everywhere\.\n$/,
    );
    expect(existsSync(join(run, 'run.json'))).toBe(false);
  });

  test('auto takes wasm, and says nothing of it', async () => {
    const { run, args } = train('auto');
    expect(await tenon(...args)).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(await readFile(join(run, 'report.json'), 'utf8'));
    expect(report.backend.name).toBe('wasm');
  });

  test('one that nobody knows is told from those that are known', async () => {
    const { code, stderr } = await tenon('train', 'digits-cnn', '--backend', 'webgp');
    expect([code, stderr]).toEqual([
      1,
      "Error: --backend: There is no backend 'webgp'. Did you mean 'webgpu'?\n",
    ]);
  });
});

describe('--precision', () => {
  test('mixed-float16 on a backend without it ends in one message with 1, and leaves no folder', async () => {
    const run = join(folder, 'mixed');
    const args = ['--epochs', '0', '--backend', 'wasm', '--precision', 'mixed-float16', '--out', run];
    const { code, json, stderr } = await tenon('train', 'digits-cnn', ...args, '--json');
    expect(code).toBe(1);
    expect(json().error).toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(stderr).toMatch(
      /^Error: precision: expected a backend that computes in 'mixed-float16', got 'wasm', which computes in float32 here\. Use WebGPU .*\n$/,
    );
    expect(existsSync(run)).toBe(false);
  });

  test('is kept in run.json, for those who go on with the run', async () => {
    const run = join(folder, 'precise');
    const args = ['--epochs', '0', '--backend', 'wasm', '--precision', 'float32', '--out', run];
    expect(await tenon('train', 'digits-cnn', ...args)).toMatchObject({ code: 0 });
    const file = join(run, 'run.json');
    const description = JSON.parse(await readFile(file, 'utf8'));
    expect(description.precision).toBe('float32');
    await writeFile(file, JSON.stringify({ ...description, precision: 'mixed-float16' }));
    const { code, json } = await tenon('resume', run, '--json');
    expect(code).toBe(1);
    expect(json().error.message).toContain("expected a backend that computes in 'mixed-float16', got 'wasm'");
    // The saved model is one of float32, wherever it was trained.
    expect(await tenon('evaluate', run)).toMatchObject({ code: 0 });
  });

  test('is told by train --help', async () => {
    expect((await tenon('train', '--help')).stdout).toMatch(/--precision <precision>\s+what it trains in/);
  });
});

describe("a user's experiment", () => {
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };
  const complete = (setup: string) =>
    `export default {\n  name: 'mine',\n  description: '',\n  options: { epochs: 1 },\n  setup() {\n${setup}\n  },\n};\n`;

  test.each<[string, string, RegExp]>([
    ['syntax.ts', 'export default {\n  name: ,\n};\n', /syntax\.ts:2: this experiment could not be loaded: /],
    [
      'throws.ts',
      '\nconst a: string[] = [];\na[0].length;\n',
      /throws\.ts:3: this experiment could not be loaded: Cannot read properties of undefined/,
    ],
    [
      'setup.ts',
      complete('    const nothing: string[] = [];\n    nothing[0].length;'),
      /setup\.ts:7: this experiment could not be set up: Cannot read properties of undefined/,
    ],
    [
      'string.mjs',
      complete("    throw 'no data';"),
      /string\.mjs: this experiment could not be set up: no data/,
    ],
    [
      'none.ts',
      'export const mine = 1;\n',
      /none\.ts: expected an experiment as the default export, got an object of mine/,
    ],
    ['empty.ts', '', /empty\.ts: expected an experiment as the default export, got nothing/],
    ['number.ts', 'export default 7;\n', /number\.ts: expected an experiment as the default export, got 7/],
    [
      'half.ts',
      "export default { name: 'mine' };\n",
      /half\.ts: .*got an object of name\. Write: export default/,
    ],
  ])('%s that fails is blamed, at its line, without a stack', async (name, text, message) => {
    const out = join(folder, `${name}-run`);
    const { code, json, stderr } = await tenon('train', await file(name, text), '--out', out, '--json');
    expect(json().error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: .*\n$/);
    expect(existsSync(out)).toBe(false);
  });

  test('that is not there', async () => {
    const { json } = await tenon('train', './nowhere.ts', '--json');
    expect(json().error).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('nowhere.ts') });
  });
});

describe('a run', () => {
  const args = ['--epochs', '1', '--seed', '3'];
  let run: string;
  beforeAll(async () => {
    run = join(folder, 'run');
    const { code, stderr } = await tenon('train', 'digits-cnn', ...args, '--out', run);
    expect(code, stderr).toBe(0);
  }, 60_000);

  test('tells what it came to, and evaluates to the same', async () => {
    const { stdout, code } = await tenon('evaluate', run);
    expect(code).toBe(0);
    const report = JSON.parse(await readFile(join(run, 'report.json'), 'utf8'));
    const { json } = await tenon('evaluate', run, '--json');
    expect(json()).toEqual({ run, test: report.test });
    expect(stdout).toBe(
      `test loss: ${Number(report.test.loss.toPrecision(6))}\ntest accuracy: ${Number(report.test.accuracy.toPrecision(6))}\n`,
    );
  });

  test('is not begun in again, nor gone on with while another process is at it', async () => {
    expect((await tenon('train', 'digits-cnn', ...args, '--out', run, '--json')).json().error).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('tenon resume'),
    });
    const unlock = await lockRun(run);
    const before = await readFile(join(run, 'report.json'), 'utf8');
    const { code, json } = await tenon('resume', run, '--json');
    expect(code).toBe(1);
    expect(json().error).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('another process is training into this folder'),
    });
    expect(await readFile(join(run, 'report.json'), 'utf8')).toBe(before);
    unlock();
    expect((await tenon('resume', run)).code).toBe(0);
  });

  test('without its model says how to get it', async () => {
    const half = join(folder, 'half');
    const other = await tenon('predict', half, join(half, 'none.json'), '--json');
    expect(other.json().error).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/no saved model here.*tenon resume/),
    });
  });
});
