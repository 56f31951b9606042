import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { type Attribute, boolAttribute, intAttribute, type Type, typeAttribute } from '../binding.js';
import type { TfBackend } from '../tf_backend.js';

/**
 * TensorFlow's ops for one call of a kernel: what the call makes in between is freed when it ends, whether it gives
 * something or throws. Shapes and axes are tensors to TensorFlow; here they are lists.
 */
export class Ops {
  readonly #backend: TfBackend;
  readonly #made: TensorInfo[] = [];

  constructor(backend: TfBackend) {
    this.#backend = backend;
  }

  get hasOneDnn(): boolean {
    return this.#backend.hasOneDnn;
  }

  /** Whether ops run on a GPU. */
  get isOnGpu(): boolean {
    return this.#backend.isUsingGpuDevice;
  }

  /** Runs an op, and gives all of its outputs. */
  all(
    op: string,
    attributes: readonly Attribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): TensorInfo[] {
    const made = this.#backend.launch(op, attributes, inputs, outputs);
    this.#made.push(...made);
    return made;
  }

  /** Runs an op of one output. */
  one(op: string, attributes: readonly Attribute[], inputs: readonly TensorInfo[]): TensorInfo {
    return this.all(op, attributes, inputs, 1)[0];
  }

  /** An op of elements of one dtype, such as Mul, Sqrt or SelectV2; its inputs are broadcast as it says. */
  map(op: string, ...inputs: readonly TensorInfo[]): TensorInfo {
    return this.one(op, [typeAttribute('T', inputs[inputs.length - 1].dtype)], inputs);
  }

  /** A tensor of integers. */
  integers(values: readonly number[], shape: readonly number[] = [values.length]): TensorInfo {
    return this.#constant(Int32Array.from(values), shape, 'int32');
  }

  /** A number of float32. */
  number(value: number): TensorInfo {
    return this.#constant(Float32Array.of(value), [], 'float32');
  }

  /** A tensor of float32. */
  numbers(values: readonly number[], shape: readonly number[] = [values.length]): TensorInfo {
    return this.#constant(Float32Array.from(values), shape, 'float32');
  }

  /** int32 of int64, for which tfjs has no name. */
  narrow(x: TensorInfo): TensorInfo {
    return this.one('Cast', [typeAttribute('SrcT', 'int64'), typeAttribute('DstT', 'int32')], [x]);
  }

  cast(x: TensorInfo, dtype: keyof typeof Type): TensorInfo {
    return this.one('Cast', [typeAttribute('SrcT', x.dtype), typeAttribute('DstT', dtype)], [x]);
  }

  /** x as float32. */
  float(x: TensorInfo): TensorInfo {
    return x.dtype === 'float32' ? x : this.cast(x, 'float32');
  }

  reshape(x: TensorInfo, shape: readonly number[]): TensorInfo {
    const attributes = [typeAttribute('T', x.dtype), typeAttribute('Tshape', 'int32')];
    return this.one('Reshape', attributes, [x, this.integers(shape)]);
  }

  transpose(x: TensorInfo, permutation: readonly number[]): TensorInfo {
    const attributes = [typeAttribute('T', x.dtype), typeAttribute('Tperm', 'int32')];
    return this.one('Transpose', attributes, [x, this.integers(permutation)]);
  }

  /** Sum, Mean, Max, … over axes. */
  reduce(op: string, x: TensorInfo, axes: readonly number[], keepDims = false): TensorInfo {
    const attributes = [
      boolAttribute('keep_dims', keepDims),
      typeAttribute('T', x.dtype),
      typeAttribute('Tidx', 'int32'),
    ];
    return this.one(op, attributes, [x, this.integers(axes)]);
  }

  slice(x: TensorInfo, begin: readonly number[], size: readonly number[]): TensorInfo {
    const attributes = [typeAttribute('T', x.dtype), typeAttribute('Index', 'int32')];
    return this.one('Slice', attributes, [x, this.integers(begin), this.integers(size)]);
  }

  /** Zeros, or another number, before and after x along each axis; x is float32. */
  pad(x: TensorInfo, pads: readonly (readonly [before: number, after: number])[], value = 0): TensorInfo {
    const attributes = [typeAttribute('T', x.dtype), typeAttribute('Tpaddings', 'int32')];
    return this.one('PadV2', attributes, [
      x,
      this.integers(pads.flat(), [pads.length, 2]),
      this.number(value),
    ]);
  }

  concat(parts: readonly TensorInfo[], axis: number): TensorInfo {
    if (parts.length === 1) return this.alias(parts[0]);
    const attributes = [
      intAttribute('N', parts.length),
      typeAttribute('T', parts[0].dtype),
      typeAttribute('Tidx', 'int32'),
    ];
    return this.one('ConcatV2', attributes, [...parts, this.integers([axis], [])]);
  }

  /** Every step-th element of each axis. */
  stride(x: TensorInfo, steps: readonly number[]): TensorInfo {
    const all = 2 ** steps.length - 1;
    const attributes = [
      typeAttribute('T', x.dtype),
      typeAttribute('Index', 'int32'),
      intAttribute('begin_mask', all),
      intAttribute('end_mask', all),
      ...['ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask'].map((name) => intAttribute(name, 0)),
    ];
    const zeros = this.integers(steps.map(() => 0));
    return this.one('StridedSlice', attributes, [x, zeros, zeros, this.integers(steps)]);
  }

  /** The same values for axes of one element, as often as `shape` says. */
  broadcast(x: TensorInfo, shape: readonly number[]): TensorInfo {
    if (x.shape.length === shape.length && x.shape.every((size, axis) => size === shape[axis])) return x;
    const attributes = [typeAttribute('T', x.dtype), typeAttribute('Tidx', 'int32')];
    return this.one('BroadcastTo', attributes, [x, this.integers(shape)]);
  }

  /** A product of matrices, or of two batches of them, which are broadcast to each other. */
  matMul(
    a: TensorInfo,
    b: TensorInfo,
    { transposeA = false, transposeB = false }: { transposeA?: boolean; transposeB?: boolean } = {},
  ): TensorInfo {
    const attributes = [
      typeAttribute('T', a.dtype),
      boolAttribute('adj_x', transposeA),
      boolAttribute('adj_y', transposeB),
    ];
    // Broadcast first: oneDNN writes past the end where a batch is broadcast in the product.
    const batch = backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const whole = (x: TensorInfo): TensorInfo => this.broadcast(x, [...batch, ...x.shape.slice(-2)]);
    return this.one('BatchMatMulV2', attributes, [whole(a), whole(b)]);
  }

  /** Zeros or another number everywhere. */
  fill(shape: readonly number[], value: number): TensorInfo {
    const attributes = [typeAttribute('T', 'float32'), typeAttribute('index_type', 'int32')];
    return this.one('Fill', attributes, [this.integers(shape), this.number(value)]);
  }

  /** The same tensor once more: a kernel may give it where it would give an input. */
  alias({ dataId, shape, dtype }: TensorInfo): TensorInfo {
    this.#backend.incRef(dataId);
    const again = { dataId, shape: [...shape], dtype };
    this.#made.push(again);
    return again;
  }

  /** Ends the call: frees what it has made, but for `kept`. */
  end(kept: readonly TensorInfo[]): void {
    const left = new Set(kept);
    for (const tensor of this.#made) if (!left.has(tensor)) this.#backend.disposeData(tensor.dataId);
  }

  #constant(
    values: Int32Array | Float32Array,
    shape: readonly number[],
    dtype: 'int32' | 'float32',
  ): TensorInfo {
    const made = { dataId: this.#backend.write(values, [...shape], dtype), shape: [...shape], dtype };
    this.#made.push(made);
    return made;
  }
}
