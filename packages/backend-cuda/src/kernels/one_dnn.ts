import type { TensorInfo } from '@tensorflow/tfjs-core';
import {
  type Attribute,
  type Binding,
  boolAttribute,
  intAttribute,
  stringAttribute,
  Type,
  typeAttribute,
} from '../binding.js';
import type { Ops } from './ops.js';

/**
 * Max pooling by oneDNN, which TensorFlow brings along on processors. Its graphs use it of their own accord; op by op it
 * is reached by a name of its own, and is many times as fast backward (docs/results). The names are TensorFlow's own business: a
 * version without them, or a processor, is told by `hasOneDnn`.
 */
const POOL = '_MklNativeMaxPool';
const GRADIENT = '_MklNativeMaxPoolGrad';

/** What chooses these kernels: without it, no kernel of the name is found. */
const LABEL = [stringAttribute('_kernel', 'MklNameChangeOp'), boolAttribute('workspace_enabled', true)];

/** The gradient of MaxPool, given its input; of ties, the first one has it. `attributes` are those of MaxPool. */
export function maxPoolGradient(
  ops: Ops,
  attributes: readonly Attribute[],
  { input, dy }: { readonly input: TensorInfo; readonly dy: TensorInfo },
): TensorInfo {
  const all = [...attributes, ...LABEL];
  // Which elements are the largest is known to the forward op alone, and costs less than the general backward op does.
  const [output, workspace] = ops.all(POOL, all, [input], 2);
  return ops.one(GRADIENT, all, [input, output, dy, workspace]);
}

/** Whether these kernels are there, and give what they should for a small case. */
export function hasOneDnn(binding: Binding): boolean {
  const attributes = [
    typeAttribute('T', 'float32'),
    intAttribute('ksize', [1, 2, 2, 1]),
    intAttribute('strides', [1, 2, 2, 1]),
    stringAttribute('padding', 'VALID'),
    stringAttribute('data_format', 'NHWC'),
    ...LABEL,
  ];
  const made: number[] = [];
  const hold = (id: number): number => {
    made.push(id);
    return id;
  };
  const create = (shape: readonly number[], values: readonly number[]): number =>
    hold(binding.createTensor(shape, Type.float32, Float32Array.from(values)));
  const run = (op: string, inputs: readonly number[], outputs: number): number[] =>
    binding.executeOp(op, attributes, inputs, outputs).map(({ id }) => hold(id));
  try {
    const input = create([1, 2, 4, 1], [1, 4, 7, 7, 4, 2, 7, 3]);
    const [output, workspace] = run(POOL, [input], 2);
    const [gradient] = run(GRADIENT, [input, output, create([1, 1, 2, 1], [5, 6]), workspace], 1);
    return String(binding.tensorDataSync(gradient)) === '0,5,6,0,0,0,0,0';
  } catch {
    return false;
  } finally {
    for (const id of made) binding.deleteTensor(id);
  }
}
