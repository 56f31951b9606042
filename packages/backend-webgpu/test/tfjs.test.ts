import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { expect, test } from 'vitest';

const prototype = WebGPUBackend.prototype as unknown as { readonly [method: string]: unknown };

test('tfjs has what we put something else in the place of', () => {
  const replaced = [
    ...['shouldExecuteOnCPU', 'write', 'move', 'uploadToGPU', 'releaseResource', 'copyBuffer', 'disposeData'],
    ...['tensorToBinding', 'recordAndSubmit', 'ensureCommandEncoderReady', 'endComputePassEncoder'],
    ...['submitQueue', 'read', 'readSync', 'memory', 'numDataIds', 'dispose', 'makeTensorInfo', 'incRef'],
  ];
  expect(replaced.filter((method) => typeof prototype[method] !== 'function')).toEqual([]);
});

test('its kernels come through there', () => {
  const run = String(prototype.runWebGPUProgram);
  for (const call of ['this.uploadToGPU(', 'this.recordAndSubmit(', 'this.makeTensorInfo(']) {
    expect(run).toContain(call);
  }
  // What we pack is what it would.
  const pack = String(prototype.recordAndSubmit);
  for (const part of ['NaN', 'Infinity', 'computeStrides', 'outputComponent', 'pixelsOpType']) {
    expect(pack).toContain(part);
  }
});
