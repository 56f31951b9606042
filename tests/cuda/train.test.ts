import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requires } from '@tenon-ml/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ended, lastJson, outcome, program, runNode, tenon } from '../e2e/tenon.js';
import { missing } from '../hosts/missing.js';
import { findNode, nodeNeeded } from '../hosts/node24.js';

const device = process.env.TENON_CUDA_DEVICE === 'gpu' ? 'gpu' : 'cpu';
const onCuda = ['--backend', 'cuda', '--device', device, '--json'];
const VERSIONS = ['22.23.3', '24.21.0'];
const TIMEOUT = 300_000;

const nodes = missing ? [] : await Promise.all(VERSIONS.map(findNode));

let folder = '';
let run = '';
let trained: Ended;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-cuda-train-'));
  run = join(folder, 'cuda');
  if (!missing) trained = await tenon(['train', 'digits-cnn', ...onCuda, '--out', run]);
}, TIMEOUT);
afterAll(() => rm(folder, { recursive: true }));

/** The mean loss of each epoch. */
const losses = (ended: Ended): number[] =>
  ended.stdout
    .split('\n')
    .filter((line) => line.includes('"type":"epoch"'))
    .map((line) => (JSON.parse(line) as { train: { loss: number } }).train.loss);

/** What was said besides what TensorFlow greets with on stderr, before it can be told not to. */
const said = ({ stderr }: Ended): string[] =>
  stderr.split('\n').filter((line) => line !== '' && !/^(WARNING: All log messages|I0000 )/.test(line));

describe('tenon train digits-cnn', () => {
  test('reaches the accuracy of the run on wasm, by the same losses at first', {
    timeout: TIMEOUT,
  }, async () => {
    const onWasm = await tenon([
      'train',
      'digits-cnn',
      '--backend',
      'wasm',
      '--json',
      '--out',
      join(folder, 'wasm'),
    ]);
    const [cuda, wasm] = [trained, onWasm].map((ended) => lastJson(ended) as { test: { accuracy: number } });
    expect([trained.code, said(trained)]).toEqual([0, []]);
    expect(wasm.test.accuracy).toBeGreaterThan(0.96);
    expect(Math.abs(cuda.test.accuracy - wasm.test.accuracy)).toBeLessThan(0.01);
    const [own, theirs] = [losses(trained), losses(onWasm)];
    expect(own).toHaveLength(15);
    for (const epoch of [0, 1, 2]) expect(Math.abs(own[epoch] - theirs[epoch])).toBeLessThan(1e-3);
    const { report } = (await outcome(run)) as { report: { backend: object } };
    expect(report.backend).toMatchObject({
      name: 'cuda',
      device: expect.stringMatching(/^(CPU|GPU), TensorFlow 2\./),
    });
  });

  test('is evaluated on what it was trained on, and on wasm, to the same accuracy', {
    timeout: TIMEOUT,
  }, async () => {
    const figures = [];
    for (const flags of [[], ['--backend', 'wasm']]) {
      const ended = await tenon(['evaluate', run, ...flags, '--json']);
      expect([ended.code, said(ended)]).toEqual([0, []]);
      figures.push((lastJson(ended) as { test: { accuracy: number } }).test.accuracy);
    }
    const { test: own } = lastJson(trained) as { test: { accuracy: number } };
    expect(figures).toEqual([own.accuracy, own.accuracy]);
  });

  test.each(VERSIONS.map((version, i) => [version, i] as const))(
    'runs on Node %s',
    { timeout: TIMEOUT },
    async (version, i) => {
      if (!missing && !requires(nodes[i], nodeNeeded(version))) return;
      // The rate falls over the epochs: a run of one isn't the first epoch of a longer one.
      const args = (name: string): string[] => {
        const out = join(folder, name);
        return [program, 'train', 'digits-cnn', '--epochs', '1', ...onCuda, '--out', out];
      };
      const ended = await runNode(args(version), { execPath: nodes[i] as string });
      expect([ended.code, said(ended)]).toEqual([0, []]);
      const here = await runNode(args(`beside ${version}`));
      const [first, ...others] = losses(ended);
      expect(others).toEqual([]);
      expect(Math.abs(first - losses(here)[0])).toBeLessThan(1e-3);
    },
  );
});
