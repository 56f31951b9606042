import { joining } from './kernels/join.js';
import { WORKGROUP } from './kernels/layout.js';

/** The sizes that a device's subgroups may have: powers of two. Programs may differ in it, where there is more than one. */
export interface Subgroups {
  readonly least: number;
  readonly most: number;
}

/** What kernels are written for: 0, or more than one size a workgroup, would be none of it. */
const SIZES = { least: 4, most: 128 };

/**
 * The device's subgroups, if they are what our kernels take them for: WGSL promises neither that a subgroup's invocations
 * are neighbours, nor that there are as many of them as it says. A tiny dispatch looks. Undefined where they aren't, or
 * where the device has none.
 */
export async function findSubgroups(
  device: GPUDevice,
  info: Pick<GPUAdapterInfo, 'subgroupMinSize' | 'subgroupMaxSize'>,
): Promise<Subgroups | undefined> {
  if (!device.features.has('subgroups' as GPUFeatureName)) return undefined;
  const subgroups = { least: info.subgroupMinSize ?? SIZES.least, most: info.subgroupMaxSize ?? SIZES.most };
  if (subgroups.least < SIZES.least || subgroups.most > SIZES.most) return undefined;
  try {
    return (await isAsExpected(device, checkOf(subgroups))) ? subgroups : undefined;
  } catch {
    return undefined;
  }
}

/** WGSL that tells, for each invocation, whether its subgroup is as expected; and joins as kernels do. */
export function checkOf(subgroups: Subgroups): string {
  const { least, most } = subgroups;
  const layout = { lanes: WORKGROUP / 2, width: 2 };
  const sum = { type: 'u32', combine: (a: string, b: string) => `${a} + ${b}` };
  const { declarations, code } = joining(subgroups, layout, sum, 'all');
  // Σ of the even numbers below 256, or of the odd ones.
  const expected = `${(WORKGROUP / 2) * (WORKGROUP / 2 - 1)}u + lane % 2u * ${WORKGROUP / 2}u`;
  return `enable subgroups;
    @group(0) @binding(0) var<storage, read_write> y: array<u32>;
    ${declarations}
    @compute @workgroup_size(${WORKGROUP}) fn main(@builtin(local_invocation_index) lane: u32,
      @builtin(subgroup_size) subgroupSize: u32, @builtin(subgroup_invocation_id) place: u32) {
      // && would make control flow of what comes after it, and these need all invocations.
      let count = subgroupAdd(1u);
      let first = subgroupMin(lane);
      let last = subgroupMax(place);
      let isSized = subgroupSize >= ${least}u && subgroupSize <= ${most}u && ${WORKGROUP}u % subgroupSize == 0u;
      let isFull = count == subgroupSize && last == subgroupSize - 1u;
      let isNeighbour = place == lane % subgroupSize && first == lane - place;
      var total = lane;
      ${code}
      y[lane] = select(0u, 1u, isSized && isFull && isNeighbour && total == ${expected});
    }`;
}

// The globals with their names are there in browsers alone.
const MAP_READ = 0x1;
const COPY_SRC = 0x4;
const COPY_DST = 0x8;
const STORAGE = 0x80;

async function isAsExpected(device: GPUDevice, code: string): Promise<boolean> {
  const bytes = 4 * WORKGROUP;
  device.pushErrorScope('validation');
  const pipeline = device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code }), entryPoint: 'main' },
  });
  const refused = device.popErrorScope();
  const made = await pipeline;
  if (await refused) return false;
  const out = device.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC });
  const reader = device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });
  try {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(made);
    pass.setBindGroup(
      0,
      device.createBindGroup({
        layout: made.getBindGroupLayout(0),
        entries: [{ binding: 0, resource: { buffer: out } }],
      }),
    );
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(out, 0, reader, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await reader.mapAsync(MAP_READ);
    return new Uint32Array(reader.getMappedRange()).every((verdict) => verdict === 1);
  } finally {
    out.destroy();
    reader.destroy();
  }
}
