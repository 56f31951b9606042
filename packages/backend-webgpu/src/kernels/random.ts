import { util } from '@tensorflow/tfjs-core';
import { linearGroups } from '../graph.js';
import type { Program } from '../program.js';
import { defineKernel, type Kernel } from './kernel.js';
import { WORKGROUP } from './layout.js';

/** The domain of draws inside of steps, core's STEP_DOMAIN. */
const STEP_DOMAIN = 5;

/**
 * Philox4x32-10, see core/src/philox.ts: four numbers for each invocation. WGSL has no products of 64 bits, so their upper
 * halves are made of products of 16 bits.
 */
const PHILOX: Program = {
  key: 'philoxUniform',
  outputs: ['f32'],
  inputs: ['i32'],
  uniforms: ['size: u32', 'site: u32'],
  workgroup: [WORKGROUP, 1, 1],
  stores: true,
  declarations: `
    fn upperProduct(a: u32, b: u32) -> u32 {
      let aLow = a & 0xffffu;
      let aHigh = a >> 16u;
      let bLow = b & 0xffffu;
      let bHigh = b >> 16u;
      let cross = aHigh * bLow + ((aLow * bLow) >> 16u);
      let middle = aLow * bHigh + (cross & 0xffffu);
      return aHigh * bHigh + (cross >> 16u) + (middle >> 16u);
    }`,
  body: `
    let block = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
    var words = vec4u(block, 0u, u.site, ${STEP_DOMAIN}u);
    var key = vec2u(u32(x0[0]), u32(x0[1]));
    for (var round = 0u; round < 10u; round++) {
      words = vec4u(
        upperProduct(0xcd9e8d57u, words.z) ^ words.y ^ key.x,
        0xcd9e8d57u * words.z,
        upperProduct(0xd2511f53u, words.x) ^ words.w ^ key.y,
        0xd2511f53u * words.x);
      key += vec2u(0x9e3779b9u, 0xbb67ae85u);
    }
    for (var k = 0u; k < 4u; k++) {
      let i = 4u * block + k;
      if (i < u.size) { store(i, f32(words[k] >> 8u) * 5.9604644775390625e-8f); }
    }`,
};

/** core's op: uniform numbers, with the same bits as on the host. The key is read when the kernel runs. */
const philoxUniform = defineKernel<{ readonly site: number; readonly shape: readonly number[] }>(
  'PhiloxUniform',
  ({ inputs: { key }, attrs: { site, shape }, gpu }) => {
    const out = gpu.allocate(shape, 'float32');
    const size = util.sizeFromShape([...shape]);
    if (size > 0) gpu.launch(PHILOX, [key], [out], [size, site], linearGroups(Math.ceil(size / 4)));
    return out;
  },
);

export const randomKernels: readonly Kernel[] = [philoxUniform];
