import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyLayer, createKey, type NdArray, type Params, saveModel, tensorCount } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { dense } from '@tenon-ml/layers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { serve } from '../src/commands/serve.js';
import type { Output } from '../src/output.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-serve-'));
  const input = { shape: [null, 2], dtype: 'float32' } as const;
  const { params, state, output } = dense(2).init(createKey(1), input);
  await saveModel(folderStore(folder), {
    layer: dense(2) as unknown as AnyLayer,
    params: params as unknown as Params<NdArray>,
    state: state as Params<NdArray>,
    input,
    output,
    preprocessing: [],
    outputActivation: 'softmax',
    card: { name: 'small' },
  });
});
afterAll(() => rm(folder, { recursive: true }));

function output(result: Output['result']): Output {
  return {
    json: true,
    note: vi.fn(),
    result,
    fail: vi.fn(),
    trainView: () => {
      throw new Error('Nothing is trained here.');
    },
  };
}

test('tenon serve: says where it is, answers, and ends on a signal with nothing left behind', async () => {
  const tensors = tensorCount();
  const listeners = process.listenerCount('SIGTERM');
  let served: Promise<void> = Promise.resolve();
  const { value, text } = await new Promise<{ value: { url: string }; text: string }>((resolve, reject) => {
    const flags = { backend: 'auto', host: '127.0.0.1', port: 0 };
    served = serve(
      folder,
      flags,
      output((result, line) => resolve({ value: result as { url: string }, text: line })),
    );
    served.catch(reject);
  });
  expect(Object.keys(value)).toEqual(['url']);
  expect(value.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(text.startsWith(`${value.url} `)).toBe(true);
  expect(text).not.toContain('\n');

  expect(await (await fetch(value.url)).json()).toMatchObject({ name: 'small' });
  const response = await fetch(`${value.url}/predict`, {
    method: 'POST',
    body: '1,2\n3,4\n',
    headers: { 'content-type': 'text/csv' },
  });
  expect(await response.json()).toEqual({
    predictions: [0, 1].map(() => expect.objectContaining({ label: expect.stringMatching(/^[01]$/) })),
  });

  process.emit('SIGTERM', 'SIGTERM');
  await served;
  await expect(fetch(value.url)).rejects.toThrow();
  expect(tensorCount()).toBe(tensors);
  expect(process.listenerCount('SIGTERM')).toBe(listeners);
});

test('tenon serve: a folder without a model starts no server', async () => {
  const result = vi.fn();
  const flags = { backend: 'auto', host: '127.0.0.1', port: 0 };
  await expect(serve(join(folder, 'none'), flags, output(result))).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  expect(result).not.toHaveBeenCalled();
});
