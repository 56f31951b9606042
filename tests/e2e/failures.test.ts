import { execFileSync } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { requires } from '@tenon-ml/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ended, filesIn, fixtures, lastJson, outcome, program, runNode, tenon } from './tenon.js';

const experiment = join(fixtures, 'experiment.ts');
const isRoot = process.getuid?.() === 0;
let folder: string;
/** A finished run, copied by the tests that damage it. */
let good: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-failures-'));
  await chmod(folder, 0o755);
  good = join(folder, 'good');
  const ended = await tenon(['train', experiment, '--out', good, '--epochs', '1', '--json']);
  expect(ended.code, ended.stderr).toBe(0);
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One message, no stack, an exit code of 1; and the same as JSON. */
function expectError(ended: Ended, code: string, message: RegExp): void {
  expect(ended.code, ended.stderr).toBe(1);
  const lines = ended.stderr.trim().split('\n');
  expect(lines.filter((line) => line.startsWith('Error: '))).toHaveLength(1);
  expect(lines.at(-1)).toMatch(message);
  expect(ended.stderr).not.toMatch(/\n\s+at /);
  expect((lastJson(ended).error as { code: string }).code).toBe(code);
}

async function damaged(name: string): Promise<string> {
  const run = join(folder, name);
  await cp(good, run, { recursive: true });
  return run;
}

const noLeftovers = async (path: string): Promise<void> =>
  expect((await filesIn(path)).filter((name) => name.endsWith('.tmp'))).toEqual([]);

describe('what an experiment does wrong', () => {
  test("shapes that don't fit: which layer, what came, what to do; and no folder", async () => {
    const out = join(folder, 'shapes');
    const ended = await tenon(['train', experiment, '--out', out, '--set', 'fault=shapes', '--json']);
    expectError(
      ended,
      'SHAPE_MISMATCH',
      /^Error: dense_1: expected \[batch, features\].*, got .*\[batch, 8, 8, 1\].*flatten\(\) before it\.$/,
    );
    expect(await filesIn(out)).toEqual([]);
  });

  test.each([
    ['does not parse', 'const a = 1;\nexport default {{', /broken-0\.ts:2: .*Unexpected token/],
    ['throws', 'const x: any = undefined;\n\nx.boom();', /broken-1\.ts:3: .*reading 'boom'/],
    [
      'exports something else',
      'export default { hello: 1 };',
      /broken-2\.ts: expected an experiment as the default export/,
    ],
  ])('a file that %s: the file and the line', async (_, text, message) => {
    const file = join(folder, `broken-${/broken-(\d)/.exec(message.source)?.[1]}.ts`);
    await writeFile(file, text);
    expectError(await tenon(['train', file, '--json']), 'INVALID_ARGUMENT', message);
  });

  test('a label out of range: the step, the record, the range', async () => {
    const out = join(folder, 'label');
    const ended = await tenon(['train', experiment, '--out', out, '--set', 'fault=label', '--json']);
    expectError(ended, 'LABEL_OUT_OF_RANGE', /^Error: step \d+ \(epoch 1\).*record \d+.*0 to 9.*17/);
    await noLeftovers(out);
  });

  test('a loss of NaN: the step, the first layer, parameters untouched', async () => {
    const out = join(folder, 'nan');
    const ended = await tenon(['train', experiment, '--out', out, '--set', 'fault=nan', '--json']);
    expectError(
      ended,
      'NOT_FINITE',
      /^Error: step \d+ \(epoch 1\): the loss is \S+, and the first value that is not finite is the output of dense_2\. The parameters are as they were before this step\. Lower the learning rate/,
    );
    await noLeftovers(out);
    expect(await filesIn(out)).not.toContain('model.json');
  });
});

describe('data', () => {
  const train = (name: string, text: string) =>
    writeFile(join(folder, name), text).then(() =>
      tenon([
        'train',
        join(fixtures, 'table.ts'),
        '--data',
        join(folder, name),
        '--out',
        join(folder, `${name}-run`),
        '--json',
      ]),
    );

  test('a CSV without faults trains', async () => {
    const ended = await train('good.csv', 'a,b,label\n1,2,x\n3,4,y\n5,6,z\n');
    expect(ended.code, ended.stderr).toBe(0);
  });

  test('a CSV with a broken row: the file and the line', async () => {
    const ended = await train('broken.csv', 'a,b,label\n1,2,x\n3,y\n5,6,z\n');
    expectError(ended, 'DATA_INVALID', /broken\.csv:3: expected 3 fields, got 2/);
    expect(await filesIn(join(folder, 'broken.csv-run'))).toEqual([]);
  });

  test('a CSV with a word where a number belongs', async () => {
    const ended = await train('word.csv', 'a,b,label\n1,2,x\n3,four,y\n');
    expectError(ended, 'DATA_INVALID', /word\.csv:3.*four/);
  });

  test('a file that is not there', async () => {
    const ended = await tenon([
      'train',
      join(fixtures, 'table.ts'),
      '--data',
      join(folder, 'none.csv'),
      '--json',
    ]);
    expectError(ended, 'NOT_FOUND', /none\.csv/);
  });
});

describe('CIFAR-10', () => {
  const bytes = 30_730_000;
  const names = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`).concat('test_batch.bin');
  /** The files of black airplanes, sparse on the disk; `change` damages them. */
  const train = async (name: string, change: (path: string) => Promise<void>): Promise<Ended> => {
    const path = join(folder, name);
    await mkdir(path);
    for (const file of names) {
      await writeFile(join(path, file), '');
      await truncate(join(path, file), bytes);
    }
    await change(path);
    const out = join(folder, `${name}-run`);
    const ended = await tenon(['train', 'cifar10-cnn', '--data', path, '--out', out, '--json']);
    expect(await filesIn(out)).toEqual([]);
    return ended;
  };

  test('a file that is cut off: how long it is, and the record that it ends in', async () => {
    const ended = await train('cut', (path) => truncate(join(path, 'data_batch_3.bin'), 20_000_000));
    expectError(
      ended,
      'DATA_INVALID',
      /data_batch_3\.bin: expected 30730000 bytes.*got 20000000 bytes, which end within record 6508\. .*copy or download it again\.$/,
    );
  });

  test('a label of 17: the file and the record', async () => {
    const ended = await train('label17', async (path) => {
      const handle = await open(join(path, 'data_batch_1.bin'), 'r+');
      await handle.write(Uint8Array.of(17), 0, 1, 1234 * 3073);
      await handle.close();
    });
    expectError(
      ended,
      'DATA_INVALID',
      /data_batch_1\.bin, record 1234: expected a label from 0 to 9.*got 17/,
    );
  });

  test('a file that is missing, and an archive that is none', async () => {
    const ended = await train('lacking', (path) => rm(join(path, 'test_batch.bin')));
    expectError(
      ended,
      'NOT_FOUND',
      /test_batch\.bin: this file of CIFAR-10 is missing\. .*cifar-10-binary\.tar\.gz/,
    );
    const archive = join(folder, 'half.tar.gz');
    await writeFile(archive, gzipSync(Buffer.alloc(100_000, 1)).subarray(0, 60));
    expectError(
      await tenon(['train', 'cifar10-cnn', '--data', archive, '--json']),
      'DATA_INVALID',
      /half\.tar\.gz: expected a whole \.tar\.gz archive, got one that can't be unpacked/,
    );
  });
});

describe('names', () => {
  test('an unknown recipe: the nearest names', async () => {
    expectError(
      await tenon(['train', 'digit-cnn', '--json']),
      'UNKNOWN_NAME',
      /There is no recipe 'digit-cnn'\. Did you mean 'digits-cnn'\?/,
    );
  });

  test('an unknown option of an experiment', async () => {
    expectError(
      await tenon(['train', experiment, '--set', 'epoch=3', '--json']),
      'UNKNOWN_NAME',
      /no option 'epoch'.*'epochs'/,
    );
  });

  test('an unknown command, and a number that is none: exit 2', async () => {
    expect(await tenon(['trian'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean train?'),
    });
    expect(await tenon(['train', 'digits-cnn', '--epochs', 'many'])).toMatchObject({ code: 2 });
  });

  test('a folder that holds no run, and one that holds a run already', async () => {
    expectError(await tenon(['resume', folder, '--json']), 'NOT_FOUND', /run\.json/);
    const before = await outcome(good);
    expectError(await tenon(['train', experiment, '--out', good, '--json']), 'USAGE', /tenon resume/);
    expect(await outcome(good)).toEqual(before);
  });
});

describe('artifacts', () => {
  const editJson = async (path: string, edit: (value: Record<string, unknown>) => void): Promise<void> => {
    const value = JSON.parse(await readFile(path, 'utf8'));
    edit(value);
    await writeFile(path, JSON.stringify(value));
  };

  test.each(['model.json', 'run.json'])('a %s of a newer version', async (name) => {
    const run = await damaged(`newer-${name}`);
    await editJson(join(run, name), (value) => Object.assign(value, { version: 99 }));
    expectError(
      await tenon(['evaluate', run, '--json']),
      'FORMAT_TOO_NEW',
      /expected .* in version 1 or older, got version 99.*update/,
    );
  });

  test('a checkpoint of a newer version', async () => {
    const run = await damaged('newer-checkpoint');
    for (const name of (await filesIn(run)).filter((path) => path.startsWith('checkpoints/'))) {
      const bytes = await readFile(join(run, name));
      const text = bytes.toString('latin1').replace('"version":"1"', '"version":"9"');
      await writeFile(join(run, name), Buffer.from(text, 'latin1'));
    }
    expectError(await tenon(['resume', run, '--json']), 'FORMAT_TOO_NEW', /version 9/);
  });

  const lies: [string, (bytes: Buffer) => Buffer][] = [
    [
      'a header longer than the file',
      (bytes) => {
        bytes.writeBigUInt64LE(1n << 40n);
        return bytes;
      },
    ],
    ['data that is cut off', (bytes) => bytes.subarray(0, bytes.length - 100)],
    [
      'an offset beyond the data',
      (bytes) =>
        Buffer.from(
          bytes.toString('latin1').replace(/"data_offsets":\[0,(\d)/, '"data_offsets":[0,9'),
          'latin1',
        ),
    ],
  ];
  test.each(lies)('a safetensors header that lies: %s', async (_, lie) => {
    const run = await damaged(`lie-${lies.findIndex(([, other]) => other === lie)}`);
    const path = join(run, 'weights.safetensors');
    await writeFile(path, lie(await readFile(path)));
    const before = await filesIn(run);
    expectError(await tenon(['evaluate', run, '--json']), 'SAFETENSORS_INVALID', /weights\.safetensors/);
    expect(await filesIn(run)).toEqual(before);
  });

  test('a flipped bit in the weights', async () => {
    const run = await damaged('flipped');
    const path = join(run, 'weights.safetensors');
    const bytes = await readFile(path);
    bytes[bytes.length - 1] ^= 0x40;
    await writeFile(path, bytes);
    expectError(
      await tenon(['evaluate', run, '--json']),
      'ARTIFACT_INVALID',
      /weights\.safetensors.*damaged/,
    );
  });
});

/**
 * The command line as the user `nobody`. The process changes its user only when everything is loaded: another user may
 * not be allowed to read this node, or this repository.
 */
function asNobody(args: readonly string[]): Promise<Ended> {
  const load = `const { main } = await import(${JSON.stringify(join(program, '../index.js'))});`;
  const run = `process.setgroups([]); process.setgid(65534); process.setuid(65534); process.exitCode = await main(${JSON.stringify(args)});`;
  return runNode(['--input-type=module', '-e', load + run]);
}

/** A file system of 300 kB in memory; undefined where this process may not mount one. */
function mountSmall(at: string): string | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300k,mode=777', 'tmpfs', at], { stdio: 'ignore' });
    return at;
  } catch {
    return undefined;
  }
}

describe('the disk', () => {
  test('a full disk while saving: one message, the checkpoint before is whole, and the run goes on with more space', async (context) => {
    const at = join(folder, 'small');
    await mkdir(at);
    const mounted = isRoot ? mountSmall(at) : undefined;
    if (!requires(mounted, 'to mount a tmpfs, as root')) return context.skip();
    try {
      const run = join(at, 'run');
      const args = ['--set', 'epochs=3', '--set', 'checkpointEverySteps=4', '--seed', '11'];
      const ended = await tenon(['train', experiment, '--out', run, ...args, '--json']);
      expectError(ended, 'STORAGE_FULL', /the disk is full/);
      await noLeftovers(run);
      expect(await filesIn(run)).not.toContain('model.json');
      // What is there is whole: copied to a larger disk, the run ends as one that never met the full disk.
      const moved = join(folder, 'moved');
      await cp(run, moved, { recursive: true });
      const resumed = await tenon(['resume', moved, '--json']);
      expect(resumed.code, resumed.stderr).toBe(0);
      const whole = join(folder, 'roomy');
      expect((await tenon(['train', experiment, '--out', whole, ...args, '--json'])).code).toBe(0);
      expect(await outcome(moved)).toEqual(await outcome(whole));
    } finally {
      execFileSync('umount', [at]);
    }
  }, 120_000);

  test('no permission, as a user who has none', async (context) => {
    if (!requires(isRoot, 'root, to become another user')) return context.skip();
    const out = join(folder, 'locked');
    await mkdir(out, { mode: 0o755 });
    const run = join(folder, 'readable');
    expect((await tenon(['train', 'digits-cnn', '--epochs', '0', '--out', run])).code).toBe(0);
    expectError(
      await asNobody(['train', 'digits-cnn', '--out', join(out, 'run'), '--epochs', '1', '--json']),
      'PERMISSION_DENIED',
      /no permission to write/,
    );
    expect(await filesIn(out)).toEqual([]);
    await chmod(join(run, 'weights.safetensors'), 0o600);
    expectError(await asNobody(['evaluate', run, '--json']), 'PERMISSION_DENIED', /no permission to read/);
  }, 60_000);
});
