import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requires } from '@tenon-ml/testkit';
import type { RunEvent } from '@tenon-ml/train';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gpuArguments } from '../hosts/chromium_path.js';
import { withPage } from '../hosts/page.js';
import { CHROMIUM, chromiumPath, launchChromium } from './chromium.js';
import { gpuEnvironment, hasGpu } from './gpu.js';
import { filesIn, fixtures, lastJson, outcome, runNode, tenon } from './tenon.js';

// An epoch of 51 steps: SwiftShader takes about a second for each on a machine that is busy.
const options = { epochs: 1, batchSize: 25 };
const seed = 4;
const settings = Object.entries(options).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
const train = (backend: string, run: string): string[] => [
  ...['train', 'digits-cnn', '--backend', backend, '--seed', String(seed), ...settings],
  ...['--out', run, '--json'],
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-webgpu-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function eventsIn(run: string): Promise<RunEvent[]> {
  const lines = (await readFile(join(run, 'events.jsonl'), 'utf8')).trim().split('\n');
  const report = JSON.parse(await readFile(join(run, 'report.json'), 'utf8'));
  return [...lines.map((line) => JSON.parse(line)), { type: 'report', report }];
}

/** The losses of the steps, and the accuracy on the test data. */
function course(events: readonly RunEvent[]): { losses: number[]; accuracy: number } {
  const losses = events.flatMap((event) => (event.type === 'step' ? [event.loss] : []));
  const [accuracy] = events.flatMap((event) =>
    event.type === 'report' ? [event.report.test?.accuracy] : [],
  );
  return { losses, accuracy: Number(accuracy) };
}

describe('digits-cnn', () => {
  let onWasm: ReturnType<typeof course>;
  beforeAll(async () => {
    const run = join(folder, 'wasm');
    const ended = await tenon(train('wasm', run));
    expect(ended.code, ended.stderr).toBe(0);
    onWasm = course(await eventsIn(run));
    expect(onWasm.losses.length).toBeGreaterThanOrEqual(50);
    expect(onWasm.accuracy).toBeGreaterThan(0.7);
  }, 60_000);

  function expectSameCourse({ losses, accuracy }: ReturnType<typeof course>): void {
    expect(losses).toHaveLength(onWasm.losses.length);
    const off = losses.slice(0, 50).map((loss, i) => Math.abs(loss - onWasm.losses[i]));
    expect(Math.max(...off)).toBeLessThan(1e-3);
    expect(Math.abs(accuracy - onWasm.accuracy)).toBeLessThanOrEqual(0.01);
  }

  test.skipIf(!hasGpu)('trains in Node as it does on wasm', { timeout: 600_000 }, async () => {
    const run = join(folder, 'webgpu');
    const ended = await tenon(train('webgpu', run), { env: gpuEnvironment });
    expect(ended.code, ended.stderr).toBe(0);
    const events = await eventsIn(run);
    const [report] = events.flatMap((event) => (event.type === 'report' ? [event.report] : []));
    expect(report.backend).toMatchObject({ name: 'webgpu', features: { kernels: 'wgsl' } });
    expectSameCourse(course(events));
  });

  test.skipIf(!requires(chromiumPath, CHROMIUM))(
    'trains in a page as it does on wasm',
    { timeout: 600_000 },
    async () => {
      const { outputFiles } = await build({
        entryPoints: [join(fixtures, 'recipe_in_page.ts')],
        bundle: true,
        write: false,
        platform: 'browser',
        format: 'iife',
        globalName: 'bundle',
        target: 'es2022',
        logLevel: 'silent',
      });
      const browser = await launchChromium(gpuArguments);
      const files = { '/bundle.js': outputFiles[0].text };
      try {
        await withPage(browser, files, { isolated: false }, async (page, complaints) => {
          const run = `bundle.train(${seed}, ${JSON.stringify(options)}).then(JSON.stringify)`;
          expectSameCourse(course(JSON.parse(await page.evaluate(run))));
          expect(complaints).toEqual([]);
        });
      } finally {
        await browser.close();
      }
    },
  );
});

const experiment = join(fixtures, 'experiment.ts');
const own = ['--set', 'epochs=8', '--set', 'examples=120', '--set', 'checkpointEverySteps=2', '--seed', '7'];

describe.skipIf(!hasGpu)('a GPU that goes away under the command line', () => {
  test('ends in one message; resume goes on, with the bits of a run that was left alone', async () => {
    const [lost, whole] = [join(folder, 'lost'), join(folder, 'whole')];
    const args = (run: string) => [
      'train',
      experiment,
      '--backend',
      'webgpu',
      ...own,
      '--out',
      run,
      '--json',
    ];
    const env = gpuEnvironment;
    const checkpoint = 'checkpoints/step-000000004.safetensors';
    const wrapper = [join(fixtures, 'lost_gpu.mjs'), join(lost, checkpoint)];
    const ended = await runNode([...wrapper, ...args(lost)], { env });
    expect(ended.code).toBe(1);
    expect(ended.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^Error: webgpu: the GPU is gone .* go on from the last checkpoint\.$/),
    ]);
    expect(lastJson(ended).error).toMatchObject({ code: 'DEVICE_LOST' });
    expect(await filesIn(lost)).toContain(checkpoint);

    for (const command of [['resume', lost, '--json'], args(whole)]) {
      const { code, stderr } = await tenon(command, { env });
      expect(code, stderr).toBe(0);
    }
    expect(await outcome(lost)).toEqual(await outcome(whole));
  }, 120_000);
});

describe.skipIf(!hasGpu)('a process that trained on the GPU', () => {
  test.each(['dispose', 'leave', 'busy'])(
    'ends by itself, ten times in a row: %s',
    async (ending) => {
      const first: string[] = [];
      for (let i = 0; i < 10; i++) {
        const ended = await runNode([join(fixtures, 'train_and_end.mjs'), ending], { env: gpuEnvironment });
        expect([ended.code, ended.stderr]).toEqual([0, '']);
        first.push(ended.stdout);
      }
      expect(JSON.parse(first[0])).toHaveLength(8);
      expect(new Set(first).size).toBe(1);
    },
    120_000,
  );
});

describe('where there is no GPU', () => {
  // Neither a driver nor a file that names one.
  const env = { ...process.env, VK_DRIVER_FILES: '/nowhere.json', VK_ICD_FILENAMES: '/nowhere.json' };
  const reason =
    /webgpu: WebGPU is there, but it found no GPU\. On Linux it needs Vulkan .*\. wasm runs everywhere\.$/;

  test('training on it ends in one message, and leaves no folder', async () => {
    const run = join(folder, 'none');
    const ended = await tenon(['train', experiment, '--backend', 'webgpu', '--out', run, '--json'], { env });
    expect(ended.code).toBe(1);
    const errors = ended.stderr.split('\n').filter((line) => line.startsWith('Error: '));
    expect(errors).toEqual([expect.stringMatching(reason)]);
    expect(lastJson(ended).error).toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(await filesIn(run)).toEqual([]);
  });

  test('`--backend auto` trains on wasm', async () => {
    const run = join(folder, 'auto');
    const ended = await tenon(['train', experiment, ...own, '--backend', 'auto', '--out', run, '--json'], {
      env,
    });
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    const { report } = (await outcome(run)) as { report: { backend: object } };
    expect(report.backend).toMatchObject({ name: 'wasm' });
  });

  test('`--precision mixed-float16` looks for a GPU by itself, and for nothing else', async () => {
    const run = join(folder, 'mixed');
    const precision = ['--precision', 'mixed-float16'];
    const ended = await tenon(['train', experiment, ...precision, '--out', run, '--json'], { env });
    expect(ended.code).toBe(1);
    const { error } = lastJson(ended) as { error: { code: string; message: string } };
    expect(error.code).toBe('BACKEND_UNAVAILABLE');
    expect(error.message).toMatch(/can run here: webgpu: WebGPU is there, but it found no GPU\./);
    expect(await filesIn(run)).toEqual([]);
  });

  test('`tenon doctor` says so in one line, and that this machine can train', async () => {
    const ended = await tenon(['doctor'], { env });
    expect(ended.code).toBe(0);
    const lines = ended.stdout.split('\n').filter((line) => line.includes('WebGPU'));
    expect(lines).toEqual([
      expect.stringMatching(/^webgpu {7}WebGPU is there, but it found no GPU\. On Linux it needs Vulkan/),
    ]);
    expect(ended.stdout).toMatch(/This machine can train\.\n$/);
  });
});
