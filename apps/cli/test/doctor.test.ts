import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { wasm } from '@tenon-ml/backend-wasm';
import { type Backend, TenonError, tensorCount } from '@tenon-ml/core';
import { matMul } from '@tensorflow/tfjs-core';
import { createJiti } from 'jiti';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { doctor, formatDoctor } from '../src/commands/doctor.js';
import { formatFeatures, webAssemblyFeatures } from '../src/webassembly.js';

vi.mock('@tensorflow/tfjs-core', async (original) => {
  const tfjs = await original<typeof import('@tensorflow/tfjs-core')>();
  return { ...tfjs, matMul: vi.fn(tfjs.matMul) };
});

vi.mock('jiti', async (original) => {
  const jiti = await original<typeof import('jiti')>();
  return { ...jiti, createJiti: vi.fn(jiti.createJiti) };
});

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-doctor-'));
});
afterAll(() => rm(folder, { recursive: true }));

const broken: Backend = {
  name: 'wasm',
  engineName: 'none',
  init: () =>
    Promise.reject(new TenonError({ code: 'BACKEND_UNAVAILABLE', message: 'there is no WebAssembly here' })),
  dispose: () => Promise.resolve(),
};

test('the default backend runs, and says what it found', async () => {
  const before = tensorCount();
  const report = await doctor({ folder });
  const [{ name, info }] = report.backends;
  expect([report.ok, name]).toEqual([true, 'wasm']);
  expect(info).toEqual(await wasm().init());
  expect(formatDoctor(report)).toContain(`wasm         runs, ${info?.device}, ${info?.threads} thread`);
  expect(formatDoctor(report)).toMatch(/This machine can train\.$/);
  expect(tensorCount()).toBe(before);
});

test('the machine: Node, processor, memory', async () => {
  const { node, platform, cpu, memory } = await doctor({ folder });
  expect(node).toEqual({ version: process.versions.node, needed: '>=20.19', ok: true });
  expect(platform).toMatchObject({ os: process.platform, architecture: process.arch });
  expect(cpu.cores).toBeGreaterThan(0);
  expect(memory.total).toBeGreaterThan(memory.free);
});

test.each([
  ['18.20.0', false],
  ['20.18.3', false],
  ['20.19.0', true],
  ['24.0.0', true],
])('Node %s is new enough: %s', async (version, ok) => {
  const spy = vi.spyOn(process, 'versions', 'get').mockReturnValue({ ...process.versions, node: version });
  const report = await doctor({ folder });
  spy.mockRestore();
  expect(report.node).toMatchObject({ version, ok });
  expect(formatDoctor(report).includes(`node         ${version}, too old: it takes >=20.19\n`)).toBe(!ok);
});

test('TensorFlow that nobody has set up is said, with what to do', async () => {
  vi.stubEnv('TENON_CUDA_HOME', join(folder, 'nothing'));
  const report = await doctor({ folder });
  vi.unstubAllEnvs();
  expect(report.backends.find(({ name }) => name === 'cuda')).toMatchObject({ available: false });
  expect(formatDoctor(report)).toMatch(/^cuda +it has not been set up\. .*tenon setup cuda/m);
});

test('a GPU that is not there is said in one line, and wasm is enough to train', async () => {
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
  const report = await doctor({ folder });
  vi.unstubAllGlobals();
  expect(report.ok).toBe(true);
  expect(report.backends.map(({ name, available }) => [name, available])).toEqual([
    ['wasm', true],
    ['webgpu', false],
    ['cuda', false],
  ]);
  expect(formatDoctor(report)).toMatch(
    /^webgpu {7}WebGPU is there, but it found no GPU\. On Linux it needs Vulkan \(.*\)\. wasm runs everywhere\.$/m,
  );
});

test('a backend that does not start, and one that computes wrongly', async () => {
  const report = await doctor({ folder, backends: [broken] });
  expect(report.ok).toBe(false);
  expect(report.backends[0]).toEqual({
    name: 'wasm',
    available: false,
    reason: 'there is no WebAssembly here',
  });
  expect(formatDoctor(report)).toMatch(/^wasm +there is no WebAssembly here\.$/m);
  expect(formatDoctor(report)).toMatch(/No backend runs on this machine: nothing can be trained\.$/);

  vi.mocked(matMul).mockImplementationOnce((a) => a as never);
  const wrong = await doctor({ folder, backends: [wasm()] });
  expect(wrong.ok).toBe(false);
  expect(wrong.backends[0].reason).toBe('it computes wrongly: [[2,3]] rather than [[31]]');
});

test('WebAssembly: what V8 can do, what a flag adds, and threads only with memory to share', () => {
  expect(webAssemblyFeatures()).toMatchObject({ simd: true, threads: true });
  // On by default from V8 11.4.
  if (process.versions.node.startsWith('20.')) expect(webAssemblyFeatures().relaxedSimd).toBe(false);
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  expect(webAssemblyFeatures().relaxedSimd).toBe(true);
  vi.stubGlobal('SharedArrayBuffer', undefined);
  expect(webAssemblyFeatures()).toMatchObject({ simd: true, threads: false });
  vi.unstubAllGlobals();
  expect(formatFeatures({ simd: true, threads: false, relaxedSimd: false })).toBe(
    'SIMD yes, threads no, relaxed SIMD no',
  );
});

test('a folder that cannot be written, as a user who is not root sees it', async () => {
  const locked = join(folder, 'locked');
  await mkdir(locked);
  await chmod(locked, 0o555);
  const report = await doctor({ folder: locked });
  if (process.getuid?.() !== 0)
    expect(report.folder).toMatchObject({ writable: false, reason: 'no permission' });
  const missing = await doctor({ folder: join(folder, 'none') });
  expect(missing.folder).toEqual({
    path: join(folder, 'none'),
    writable: false,
    reason: 'there is no such folder',
  });
  expect(formatDoctor(missing)).toContain('(there is no such folder): choose another folder with --out');
});

test('experiments: what loads them, and where they find the library', async () => {
  const inside = await doctor({ folder: join(import.meta.dirname, '..') });
  expect(inside.experiments).toMatchObject({
    ok: true,
    loader: { name: 'jiti', version: expect.stringMatching(/^\d/) },
  });
  expect(inside.experiments.train).toBe(resolve(import.meta.dirname, '../../../packages/train'));
  expect(formatDoctor(inside)).toContain(`and find @tenon-ml/train in ${inside.experiments.train}`);

  vi.mocked(createJiti).mockImplementationOnce(
    () =>
      ({
        esmResolve: () => undefined,
        evalModule: () => Promise.reject(new Error('no TypeScript today\n  at jiti')),
      }) as unknown as ReturnType<typeof createJiti>,
  );
  const outside = await doctor({ folder });
  expect(outside.experiments).toMatchObject({ ok: false, reason: 'no TypeScript today', train: null });
  expect(formatDoctor(outside)).toContain('in TypeScript cannot be loaded: no TypeScript today\n');
  expect(formatDoctor(outside)).toContain('npm install @tenon-ml/train');
});
