import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wasm } from '@tenon-ml/backend-wasm';
import { type ArtifactStore, memoryStore, prefixedStore, toZip } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import {
  documentExperiment,
  documentOrigin,
  type ExperimentDocument,
  fitNetwork,
  learningRateControl,
  presets,
} from '@tenon-ml/experiment';
import { type RunReport, runExperiment } from '@tenon-ml/train';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lastJson, outcome, tenon } from './tenon.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-documents-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const mlp = presets.find(({ id }) => id === 'digits-mlp')?.document as ExperimentDocument;
const document: ExperimentDocument = { ...mlp, seed: 6, training: { ...mlp.training, epochs: 2 } };

describe('a document, by the built command line', { timeout: 120_000 }, () => {
  test('gives the run that a program makes of it, and one of the same file again', async () => {
    const file = join(folder, 'digits.json');
    await writeFile(file, JSON.stringify(document));
    const run = join(folder, 'run');
    const ended = await tenon(['train', file, '--out', run, '--json', '--backend', 'wasm']);
    expect(ended.code, ended.stderr).toBe(0);
    const store = memoryStore();
    const backend = wasm({});
    const experiment = documentExperiment(document);
    const origin = documentOrigin(document);
    let report: RunReport | undefined;
    for await (const event of runExperiment(experiment, { backend, store, seed: document.seed, origin })) {
      if (event.type === 'report') report = event.report;
    }
    await backend.dispose();
    const { weights, events } = await outcome(run);
    expect(Buffer.from(await store.read('weights.safetensors')).toString('base64')).toBe(weights);
    expect(new TextDecoder().decode(await store.read('events.jsonl'))).toBe(events);
    expect(lastJson(ended).test).toEqual(report?.test);
  });

  test('a run that was taken home from elsewhere is evaluated, predicted from and resumed', async () => {
    const store = memoryStore();
    const rows = Array.from({ length: 50 }, (_, i) => `${Math.sin(i)},${i % 7},${Math.sin(i) > 0}`);
    const data = prefixedStore(store, 'data/');
    await data.write('table.csv', new TextEncoder().encode(`a,b,positive\n${rows.join('\n')}\n`));
    const table = presets.find(({ id }) => id === 'table-mlp')?.document as ExperimentDocument;
    const source = { source: 'csv', file: 'table.csv', target: 'positive', task: 'classification' } as const;
    const own = fitNetwork({ ...table, data: source }, { classes: 2 });
    /** Runs it, changes its rate after ten steps, and stops it after so many. */
    const runHere = async (into: ArtifactStore, stop: number): Promise<void> => {
      const backend = wasm({});
      const rate = await learningRateControl(into);
      const controller = new AbortController();
      for await (const event of runExperiment(documentExperiment(own, data), {
        backend,
        store: into,
        origin: documentOrigin(own),
        adjust: rate.adjust,
        signal: controller.signal,
      })) {
        if (event.type !== 'step') continue;
        if (event.step === 10) await rate.set(0.5);
        if (event.step === stop) controller.abort();
      }
      await backend.dispose();
    };
    await runHere(store, 30);
    const zip = join(folder, 'home.zip');
    await writeFile(zip, await toZip(store));
    const evaluated = await tenon(['evaluate', zip, '--json']);
    expect(evaluated.code, evaluated.stderr).toBe(0);
    expect(lastJson(evaluated).test).toMatchObject({
      confusionMatrix: [expect.any(Array), expect.any(Array)],
    });
    const example = join(folder, 'example.csv');
    await writeFile(example, '0.9,2\n');
    const predicted = await tenon(['predict', zip, example, '--json']);
    expect(predicted.code, predicted.stderr).toBe(0);
    const refused = await tenon(['resume', zip]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('Unpack it, and resume the folder.');

    const unpacked = folderStore(join(folder, 'home'));
    for (const path of await store.list()) await unpacked.write(path, await store.read(path));
    const resumed = await tenon(['resume', join(folder, 'home'), '--json']);
    expect(resumed.code, resumed.stderr).toBe(0);
    const whole = memoryStore();
    await runHere(whole, -1);
    for (const path of ['weights.safetensors', 'model.json', 'events.jsonl', 'learning-rate.json']) {
      expect(Buffer.from(await unpacked.read(path)).equals(await whole.read(path)), path).toBe(true);
    }
  });
});
