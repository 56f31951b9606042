/**
 * `npm run bench:gpu-peak -- [N]`: the product of two matrices of N × N (4096 by default) on webgpu(), beside a kernel
 * that only multiplies and adds in registers, in one process: how much of what the GPU can do is used. And the same with
 * factors in float16, where the GPU has it. It needs timestamps, and a GPU: in software the figures say nothing.
 */
import { webgpu } from '@tenon-ml/backend-webgpu';
import { compile, createKey, release, upload } from '@tenon-ml/core';
import { matMul, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { findVulkan } from '../hosts/vulkan.js';
import { benchFolder } from './bundle.mjs';
import { median } from './statistics.js';

const n = Number(process.argv[2] ?? 4096);
const rounds = 9;

Object.assign(process.env, (await findVulkan(benchFolder)).variables);

/** Operations of one dispatch of the kernel below. */
const GROUPS = n >= 1024 ? 4096 : 16;
const STEPS = n >= 1024 ? 4096 : 64;
const peakOperations = GROUPS * 256 * STEPS * 8 * 4 * 2;

const peakCode = `
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = vec4f(0.999f);
  ${Array.from({ length: 8 }, (_, i) => `var s${i} = vec4f(f32(id.x & 7u) + ${i}f);`).join('\n  ')}
  for (var k = 0u; k < ${STEPS}u; k++) {
    ${Array.from({ length: 8 }, (_, i) => `s${i} = fma(s${i}, a, a);`).join('\n    ')}
  }
  // Never true, but the compiler doesn't know.
  if (s0.x + s1.x + s2.x + s3.x + s4.x + s5.x + s6.x + s7.x < -1f) { y[id.x] = s0; }
}`;

const times: number[] = [];
const mixedTimes: number[] = [];
let device: GPUDevice | undefined;
// A variable, so that it isn't bundled: it has a binary beside it.
const dawnName = 'webgpu';
const dawn: { create(options: string[]): GPU } = await import(dawnName);
const real = dawn.create([]);
const backend = webgpu({
  // The backend's own device, for the other kernel.
  gpu: {
    async requestAdapter(options) {
      const adapter = await real.requestAdapter(options);
      if (!adapter) return null;
      const { requestDevice } = adapter;
      adapter.requestDevice = async (descriptor) => {
        device = await requestDevice.call(adapter, descriptor);
        return device;
      };
      return adapter;
    },
  },
  profile: (kernel, milliseconds) => {
    if (kernel.startsWith('product')) (kernel.includes('of float16') ? mixedTimes : times).push(milliseconds);
  },
});
const { device: name, features } = await backend.init();
if (!device || !features['timestamp-query']) throw new Error(`${name} has no timestamps.`);
const gpu = device;

const key = createKey(1);
const [a, b] = [upload(key.normal([n, n]), backend), upload(key.foldIn('b').normal([n, n]), backend)];
const multiply = (x: Tensor, y: Tensor): Tensor => matMul(x as Tensor2D, y as Tensor2D);
const product = compile(multiply, { backend });
const mixed = features['shader-f16'] ? compile(multiply, { backend, precision: 'mixed-float16' }) : undefined;
const pipeline = gpu.createComputePipeline({
  layout: 'auto',
  compute: { module: gpu.createShaderModule({ code: peakCode }), entryPoint: 'main' },
});
const out = gpu.createBuffer({ size: GROUPS * 256 * 16, usage: 0x80 /* STORAGE */ });
const bindings = gpu.createBindGroup({
  layout: pipeline.getBindGroupLayout(0),
  entries: [{ binding: 0, resource: { buffer: out } }],
});

/** Milliseconds of one dispatch of the kernel in registers. */
async function peakMs(): Promise<number> {
  const querySet = gpu.createQuerySet({ type: 'timestamp', count: 2 });
  const resolved = gpu.createBuffer({ size: 16, usage: 0x200 | 0x4 /* QUERY_RESOLVE, COPY_SRC */ });
  const reader = gpu.createBuffer({ size: 16, usage: 0x1 | 0x8 /* MAP_READ, COPY_DST */ });
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass({
    timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
  });
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindings);
  pass.dispatchWorkgroups(GROUPS);
  pass.end();
  encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, reader, 0, 16);
  gpu.queue.submit([encoder.finish()]);
  await reader.mapAsync(1);
  const [begin, end] = new BigUint64Array(reader.getMappedRange());
  for (const resource of [querySet, resolved, reader]) resource.destroy();
  return Number(end - begin) / 1e6;
}

const peaks: number[] = [];
for (let round = 0; round < rounds + 3; round++) {
  release(product(a, b));
  if (mixed) release(mixed(a, b));
  peaks.push(await peakMs());
}
await new Promise((resolve) => setTimeout(resolve, 200));
const [productMs, registerMs] = [median(times.slice(-rounds)), median(peaks.slice(-rounds))];
const [reached, possible] = [(2 * n ** 3) / productMs / 1e9, peakOperations / registerMs / 1e9];
const mixedMs = mixed && median(mixedTimes.slice(-rounds));
console.log(
  JSON.stringify({
    device: name,
    software: features.software,
    n,
    productMs,
    productTflops: reached,
    registerTflops: possible,
    ratio: reached / possible,
    ...(mixedMs && { mixedMs, mixedTflops: (2 * n ** 3) / mixedMs / 1e9 }),
  }),
);
release([a, b]);
await backend.dispose();
process.exit(0);
