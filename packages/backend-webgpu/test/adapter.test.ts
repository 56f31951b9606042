import { selectBackend } from '@tenon-ml/core';
import { engine } from '@tensorflow/tfjs-core';
import { afterEach, expect, test, vi } from 'vitest';
import { webgpu } from '../src/index.js';

afterEach(() => {
  vi.doUnmock('webgpu');
  vi.unstubAllGlobals();
});

/** What `init` says, for a `gpu` whose adapter is this. It leaves nothing behind: the next one may succeed. */
async function complaint(requestAdapter: () => Promise<unknown>): Promise<string> {
  const registered = engine().backendNames();
  const backend = webgpu({ gpu: { requestAdapter } });
  const error = await backend.init().then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toMatchObject({ name: 'TenonError', code: 'BACKEND_UNAVAILABLE' });
  expect([backend.engineName, backend.recorder]).toEqual(['', undefined]);
  expect(engine().backendNames()).toEqual(registered);
  await backend.dispose();
  return error.message;
}

const adapter = (requestDevice: () => Promise<unknown>) => ({
  features: new Set(),
  limits: {},
  info: {},
  requestDevice,
});

test('WebGPU without an adapter', async () => {
  expect(await complaint(async () => null)).toBe(
    'webgpu: WebGPU is there, but it found no GPU. On Linux it needs Vulkan (Debian: libvulkan1 and the driver of the GPU). wasm runs everywhere.',
  );
});

test('an adapter that can’t be asked for', async () => {
  const message = await complaint(() => Promise.reject(new Error('blocked by policy\n  at gpu')));
  expect(message).toMatch(/^webgpu: WebGPU could not look for a GPU: blocked by policy\. On Linux/);
});

test('a device that can’t be opened', async () => {
  const refuse = () => Promise.reject(new Error('Too many devices'));
  expect(await complaint(async () => adapter(refuse))).toBe(
    'webgpu: the GPU could not be opened: Too many devices. Close other programs that use it, start this one again, or use wasm.',
  );
});

test('Node without the package webgpu', async () => {
  vi.stubGlobal('navigator', undefined);
  vi.doMock('webgpu', () => {
    throw new Error('Cannot find package');
  });
  const error = await webgpu()
    .init()
    .then(
      () => undefined,
      (reason) => reason,
    );
  expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  expect(error.message).toMatch(
    /^webgpu: Node has no WebGPU of its own, and the package 'webgpu' could not be loaded \(.*\)\. Install it: npm install webgpu@0\.6\.2\. Or use wasm\.$/,
  );
});

test('a selection passes it over, and keeps the reason', async () => {
  const missing = webgpu({ gpu: { requestAdapter: async () => null } });
  await expect(selectBackend([missing])).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    message: expect.stringContaining('webgpu: WebGPU is there, but it found no GPU'),
  });
});
