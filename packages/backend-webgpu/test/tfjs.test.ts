import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { packUniforms, type TfjsUniform } from '../src/tfjs.js';

const prototype = WebGPUBackend.prototype as unknown as { readonly [method: string]: unknown };

test('tfjs has what we put something else in the place of', () => {
  const replaced = [
    ...['shouldExecuteOnCPU', 'write', 'move', 'uploadToGPU', 'releaseResource', 'copyBuffer', 'disposeData'],
    ...['tensorToBinding', 'recordAndSubmit', 'ensureCommandEncoderReady', 'endComputePassEncoder'],
    ...[
      'submitQueue',
      'read',
      'readSync',
      'readToGPU',
      'memory',
      'numDataIds',
      'dispose',
      'makeTensorInfo',
      'incRef',
    ],
  ];
  expect(replaced.filter((method) => typeof prototype[method] !== 'function')).toEqual([]);
});

test('its kernels come through there', () => {
  const run = String(prototype.runWebGPUProgram);
  for (const call of ['this.uploadToGPU(', 'this.recordAndSubmit(', 'this.makeTensorInfo(']) {
    expect(run).toContain(call);
  }
});

/** What tfjs itself would write to the GPU for these uniforms. */
function packedByTfjs(uniforms: readonly TfjsUniform[]): number[] {
  let written: ArrayBuffer | undefined;
  const self = {
    bufferManager: { acquireBuffer: () => ({}) },
    queue: { writeBuffer: (_: object, __: number, data: ArrayBuffer) => void (written = data) },
    uniformPendingDisposal: [],
  };
  (prototype.makeUniforms as (uniforms: unknown) => unknown).call(self, structuredClone(uniforms));
  return [...new Uint8Array(written as ArrayBuffer)];
}

test('uniforms are packed as tfjs packs them', () => {
  vi.stubGlobal('GPUBufferUsage', { COPY_DST: 8, UNIFORM: 64 });
  const uniform = fc.record({
    type: fc.constantFrom('int32', 'uint32', 'float32'),
    data: fc.array(fc.integer({ min: 1, max: 1000 }), { maxLength: 6 }),
  });
  fc.assert(
    fc.property(fc.array(uniform, { minLength: 1, maxLength: 9 }), (uniforms) => {
      expect([...packUniforms(uniforms)]).toEqual(packedByTfjs(uniforms));
    }),
    { numRuns: 300 },
  );
  vi.unstubAllGlobals();
});
