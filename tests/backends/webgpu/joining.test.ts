import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Join, joining } from '../../../packages/backend-webgpu/src/kernels/join.js';
import { ownGpu } from '../../hosts/adapters.js';
import { missing } from '../../hosts/missing.js';

// Subgroups of any size, whatever those of this machine are: functions of a module may have the names of builtin ones.
const EMULATED = `
  @group(0) @binding(0) var<storage, read_write> y: array<u32>;
  @group(0) @binding(1) var<uniform> actual: u32;
  var<workgroup> held: array<u32, 256>;
  var<private> own: u32;
  fn subgroupShuffleXor(value: u32, mask: u32) -> u32 {
    workgroupBarrier();
    held[own] = value;
    workgroupBarrier();
    return held[select(own ^ mask, 0u, mask >= actual)];
  }
  fn subgroupAdd(value: u32) -> u32 {
    workgroupBarrier();
    held[own] = value;
    workgroupBarrier();
    var sum = 0u;
    for (var k = 0u; k < actual; k++) { sum += held[own / actual * actual + k]; }
    return sum;
  }`;

const SUM: Join = {
  type: 'u32',
  combine: (a, b) => `${a} + ${b}`,
  whole: (value) => `subgroupAdd(${value})`,
};

/** Joins i² + 1 over the lanes, and then what came of it, of each of the 256 invocations; by subgroups of `actual`. */
function sourceOf({ least, most, lanes, width, reach }: Case): string {
  const { declarations, code } = joining({ least, most }, { lanes, width }, SUM, reach);
  return `${EMULATED}
    ${declarations}
    @compute @workgroup_size(256) fn main(@builtin(local_invocation_index) lane: u32) {
      own = lane;
      let subgroupSize = actual;
      var total = lane * lane + 1u;
      ${code}
      y[lane] = total;
      ${reach === 'all' ? `total = total % 1000u + lane;\n{ ${code} }\ny[256u + lane] = total;` : ''}
    }`;
}

interface Case {
  readonly least: number;
  readonly most: number;
  readonly actual: number;
  readonly lanes: number;
  readonly width: number;
  readonly reach: 'first' | 'all';
}

/** Sums over the lanes of each row and column, for each of their invocations. */
function joined(values: readonly number[], { lanes, width }: Case): number[] {
  const rowOf = (i: number): number => Math.floor(i / (lanes * width)) * width + (i % width);
  const sums: number[] = [];
  for (const [i, value] of values.entries()) sums[rowOf(i)] = (sums[rowOf(i)] ?? 0) + value;
  return values.map((_, i) => sums[rowOf(i)]);
}

const powers = (first: number, last: number) => fc.integer({ min: first, max: last }).map((k) => 2 ** k);
const cases: fc.Arbitrary<Case> = fc
  .tuple(
    powers(2, 7),
    powers(2, 7),
    powers(2, 7),
    powers(0, 8),
    powers(0, 5),
    fc.constantFrom('first', 'all'),
  )
  .map(([a, b, c, lanes, width, reach]) => {
    const [least, actual, most] = [a, b, c].sort((x, y) => x - y);
    return {
      least,
      actual,
      most,
      lanes: Math.min(lanes, 256 / width),
      width,
      reach: reach as 'first' | 'all',
    };
  });
const ofOneSize = cases.map((drawn) => ({ ...drawn, least: drawn.actual, most: drawn.actual }));

let gpu: GPU;
let device: GPUDevice;
beforeAll(async () => {
  if (missing !== '') return;
  gpu = await ownGpu();
  device = await ((await gpu.requestAdapter()) as GPUAdapter).requestDevice();
});
afterAll(() => device?.destroy());

async function run(code: string, actual: number): Promise<number[]> {
  const out = device.createBuffer({ size: 2048, usage: 0x80 | 0x4 /* STORAGE, COPY_SRC */ });
  const reader = device.createBuffer({ size: 2048, usage: 0x1 | 0x8 /* MAP_READ, COPY_DST */ });
  const size = device.createBuffer({ size: 16, usage: 0x40 | 0x8 /* UNIFORM, COPY_DST */ });
  device.queue.writeBuffer(size, 0, Uint32Array.of(actual));
  const module = device.createShaderModule({ code });
  const bindings = device.createBindGroupLayout({
    entries: (['storage', 'uniform'] as const).map((type, binding) => ({
      binding,
      visibility: 4 /* COMPUTE */,
      buffer: { type },
    })),
  });
  const layout = device.createPipelineLayout({ bindGroupLayouts: [bindings] });
  const pipeline = device.createComputePipeline({ layout, compute: { module, entryPoint: 'main' } });
  const entries = [out, size].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: bindings, entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(out, 0, reader, 0, 2048);
  device.queue.submit([encoder.finish()]);
  await reader.mapAsync(1);
  const values = [...new Uint32Array(reader.getMappedRange())];
  for (const buffer of [out, reader, size]) buffer.destroy();
  return values;
}

test.each([
  ['of one size', ofOneSize],
  ['of several sizes', cases],
])('subgroups %s join the lanes of any layout', async (_, drawn) => {
  await fc.assert(
    fc.asyncProperty(drawn, async (one) => {
      const values = await run(sourceOf(one), one.actual);
      const once = joined(
        Array.from({ length: 256 }, (_, i) => i * i + 1),
        one,
      );
      if (one.reach === 'all') {
        expect(values.slice(0, 256)).toEqual(once);
        expect(values.slice(256)).toEqual(
          joined(
            once.map((total, i) => (total % 1000) + i),
            one,
          ),
        );
      } else {
        const isFirst = (i: number): boolean => Math.floor(i / one.width) % one.lanes === 0;
        expect(values.slice(0, 256).filter((_, i) => isFirst(i))).toEqual(once.filter((_, i) => isFirst(i)));
      }
    }),
    { numRuns: 60 },
  );
});
