import { Cumprod, Cumsum, type CumsumAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { linearGroups } from '../graph.js';
import { elementOf, type Program } from '../program.js';
import { defineKernel, type Kernel } from './kernel.js';
import { WORKGROUP } from './layout.js';

/** For a line, its elements a workgroup at a time: Hillis and Steele 1986, "Data parallel algorithms". */
function program(element: 'f32' | 'i32', operator: '+' | '*'): Program {
  const identity = `${element}(${operator === '+' ? 0 : 1})`;
  return {
    key: `cumulative ${element} ${operator}`,
    outputs: [element],
    inputs: [element],
    uniforms: ['lines: u32', 'length: u32', 'inner: u32', 'exclusive: u32', 'reverse: u32'],
    workgroup: [WORKGROUP, 1, 1],
    stores: true,
    loads: [0],
    declarations: `var<workgroup> partial: array<${element}, ${WORKGROUP}>;`,
    body: `
      let line = group.y * groups.x + group.x;
      let start = line / u.inner * u.length * u.inner + line % u.inner;
      var carry = ${identity};
      for (var first = 0u; first < u.length; first += ${WORKGROUP}u) {
        let k = first + lane;
        let at = start + select(k, u.length - 1u - k, u.reverse != 0u) * u.inner;
        let there = line < u.lines && k < u.length;
        var total = ${identity};
        if (there) { total = load0(at); }
        for (var step = 1u; step < ${WORKGROUP}u; step *= 2u) {
          partial[lane] = total;
          workgroupBarrier();
          if (lane >= step) { total = partial[lane - step] ${operator} total; }
          workgroupBarrier();
        }
        partial[lane] = total;
        workgroupBarrier();
        var before = carry;
        if (lane > 0u) { before = carry ${operator} partial[lane - 1u]; }
        if (there) { store(at, select(carry ${operator} total, before, u.exclusive != 0u)); }
        carry = carry ${operator} partial[${WORKGROUP - 1}];
        workgroupBarrier();
      }`,
  };
}

/**
 * Sums, or products, of all elements of a line up to each, with `exclusive` without itself, with `reverse` from the end.
 * (tfjs-backend-webgpu's takes the length of whichever call came first for that of all.)
 */
function cumulative(kernelName: string, operator: '+' | '*'): Kernel {
  return defineKernel<CumsumAttrs>(kernelName, ({ inputs, attrs, gpu }): TensorInfo | undefined => {
    const { x } = inputs;
    const { axis, exclusive, reverse } = attrs;
    if (x.dtype !== 'float32' && x.dtype !== 'int32') return undefined;
    const [along] = util.parseAxisParam(axis, x.shape);
    const length = x.shape[along];
    const inner = util.sizeFromShape(x.shape.slice(along + 1));
    const out = gpu.allocate(x.shape, x.dtype);
    const size = util.sizeFromShape(x.shape);
    if (size === 0) return out;
    const lines = size / length;
    const words = [lines, length, inner, Number(exclusive), Number(reverse)];
    gpu.launch(program(elementOf(x.dtype), operator), [x], [out], words, linearGroups(lines, 1));
    return out;
  });
}

export const cumulativeKernels: readonly Kernel[] = [cumulative(Cumsum, '+'), cumulative(Cumprod, '*')];
