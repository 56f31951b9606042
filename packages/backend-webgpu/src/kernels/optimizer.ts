import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { linearGroups, type Node } from '../graph.js';
import { f32Literal } from '../prelude.js';
import type { Program } from '../program.js';
import { defineKernel, type Kernel } from './kernel.js';
import { WORKGROUP } from './layout.js';
import { allInto } from './reduction.js';

interface AdamAttrs {
  readonly count: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly biasCorrection: boolean;
}

/** core's primitive: Adam's moments and updates, each parameter's three results in one piece of elementwise work. */
const adamMoments = defineKernel<AdamAttrs>('AdamMoments', ({ inputs, attrs, gpu }) => {
  const { count, beta1, beta2, epsilon, biasCorrection } = attrs;
  const node = (code: string, ...args: number[]): Node => ({ code, element: 'f32', args });
  // Operands are −1 (the update), −2 and −3 (the moments), −4 and −5 (the scalars).
  const nodes = [
    node(`$1 + ($0 - $1) * ${f32Literal(1 - beta1)}`, -1, -2),
    node(`$1 + ($0 * $0 - $1) * ${f32Literal(1 - beta2)}`, -1, -3),
    biasCorrection
      ? node('$0 / (squareRoot($1) * $2 + $3)', 0, 1, -4, -5)
      : node(`$0 / (squareRoot($1) + ${f32Literal(epsilon)})`, 0, 1),
  ];
  const outputs = [2, 0, 1].map((place) => ({ node: place, dtype: 'float32' as const }));
  const results: [TensorInfo[], TensorInfo[], TensorInfo[]] = [[], [], []];
  for (let i = 0; i < count; i++) {
    const operands = [inputs[`update${i}`], inputs[`first${i}`], inputs[`second${i}`]];
    if (biasCorrection) operands.push(inputs.rootScale, inputs.epsilon);
    const made = gpu.mapAll(
      operands[0].shape,
      operands.map((tensor) => ({ tensor })),
      nodes,
      outputs,
    );
    for (const [k, tensor] of made.entries()) results[k].push(tensor);
  }
  return results.flat();
});

/** Elements that a workgroup asks about. */
const CHUNK = 16 * WORKGROUP;

/**
 * Whether every element of some tensors is finite: one verdict for each chunk, from `place` on. `first` is the group that
 * a tensor begins with.
 */
function finiteProgram(count: number): Program {
  const numbers = Array.from({ length: count }, (_, k) => k);
  return {
    key: `finite ${count}`,
    outputs: ['i32'],
    inputs: numbers.map(() => 'f32'),
    uniforms: ['place: u32', 'end: u32', ...numbers.flatMap((k) => [`first${k}: u32`, `size${k}: u32`])],
    workgroup: [WORKGROUP, 1, 1],
    declarations: 'var<workgroup> isBad: atomic<u32>;',
    body: `
      let block = group.y * groups.x + group.x;
      var good = true;
      ${numbers
        .toReversed()
        .map(
          (k) => `if (block >= u.first${k}) {
            let begin = (block - u.first${k}) * ${CHUNK}u;
            let end = min(begin + ${CHUNK}u, u.size${k});
            for (var i = begin + lane; i < end; i += ${WORKGROUP}u) { good = good && isFinite(x${k}[i]); }
          }`,
        )
        .join(' else ')}
      if (!good) { atomicStore(&isBad, 1u); }
      workgroupBarrier();
      if (lane == 0u && block < u.end) { y0[u.place + block] = select(1i, 0i, atomicLoad(&isBad) != 0u); }`,
  };
}

/** core's primitive: whether every element of x0 … is finite. Integers are. As many tensors a dispatch as can be bound. */
const allFinite = defineKernel<{ readonly count: number }>('AllFinite', ({ inputs, attrs, gpu }) => {
  const tensors = Array.from({ length: attrs.count }, (_, i) => inputs[`x${i}`]).filter(
    ({ dtype, shape }) => dtype === 'float32' && util.sizeFromShape(shape) > 0,
  );
  if (tensors.length === 0) return [gpu.map([], 'bool', [], '1i')];
  const groupsOf = ({ shape }: TensorInfo): number => Math.ceil(util.sizeFromShape(shape) / CHUNK);
  const parts = tensors.reduce((sum, tensor) => sum + groupsOf(tensor), 0);
  const verdicts = gpu.allocate([parts], 'bool');
  const most = gpu.commands.gpu.limits.maxStorageBuffersPerShaderStage - 1;
  let place = 0;
  for (let from = 0; from < tensors.length; from += most) {
    const some = tensors.slice(from, from + most);
    const words: number[] = [];
    let end = 0;
    for (const tensor of some) {
      words.push(end, util.sizeFromShape(tensor.shape));
      end += groupsOf(tensor);
    }
    gpu.launch(finiteProgram(some.length), some, [verdicts], [place, end, ...words], linearGroups(end, 1));
    place += end;
  }
  const out = gpu.allocate([], 'bool');
  allInto(gpu, verdicts, out, { outer: 1, count: parts, inner: 1 });
  gpu.disposeData(verdicts.dataId);
  return [out];
});

export const optimizerKernels: readonly Kernel[] = [adamMoments, allFinite];
