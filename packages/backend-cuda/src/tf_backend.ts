import { forgetTensors } from '@tenon-ml/core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import {
  type DataId,
  DataStorage,
  type DataType,
  elu,
  engine,
  KernelBackend,
  leakyRelu,
  prelu,
  relu,
  relu6,
  sigmoid,
  type Tensor,
  type TensorInfo,
  type TypedArray,
  util,
} from '@tensorflow/tfjs-core';
import {
  type Attribute,
  type Binding,
  boolAttribute,
  constants,
  dtypeOf,
  type OpOutput,
  Type,
  typeAttribute,
  typeOf,
} from './binding.js';
import { hasOneDnn } from './kernels/one_dnn.js';
import { Runtime } from './runtime.js';

export type Values = TypedArray | Uint8Array[];

/** What the backend keeps of a tensor's data. */
export interface Data {
  readonly shape: readonly number[];
  /** One of `Type`. */
  readonly type: number;
  /** The binding's number, once `values` is null. */
  id: number;
  /** Values that nothing has used yet: many, such as a kernel's axes, are used once or never. */
  values: Values | null;
  refCount: number;
}

/**
 * A tfjs backend on TensorFlow's eager runtime. Its surface is that of tfjs-node's backend, as far as tfjs-node's kernels
 * use it: they run on it unchanged.
 */
export class TfBackend extends KernelBackend {
  readonly runtime: Runtime;
  readonly isUsingGpuDevice: boolean;
  /** What tfjs-node's kernels ask before they choose a format of images. */
  readonly isGPUPackage: boolean;
  /** Whether oneDNN's own kernels can be asked for: see kernels/one_dnn.ts. */
  readonly hasOneDnn: boolean;
  /** What tfjs-node's kernels read their constants off. */
  readonly binding = constants;
  readonly #data = new DataStorage<Data>(this, engine());
  readonly #live = new Set<DataId>();
  #host: MathBackendCPU | undefined;

  constructor(binding: Binding) {
    super();
    this.runtime = new Runtime(binding);
    this.isUsingGpuDevice = binding.isUsingGpuDevice();
    this.isGPUPackage = this.isUsingGpuDevice;
    this.hasOneDnn = !this.isUsingGpuDevice && hasOneDnn(binding);
  }

  // For kernels of ours.

  /** Runs an op of TensorFlow's, and gives its outputs as tensors that nobody tracks yet. */
  launch(
    op: string,
    attributes: readonly Attribute[],
    inputs: readonly TensorInfo[],
    outputs = 1,
  ): TensorInfo[] {
    return this.runtime.run(op, attributes, this.idsOf(inputs), outputs).map((made) => this.adopt(made));
  }

  /** The binding's numbers of tensors, which are uploaded if need be. */
  idsOf(tensors: readonly TensorInfo[]): number[] {
    return tensors.map(({ dataId }) => this.idOf(dataId));
  }

  idOf(dataId: DataId): number {
    const data = this.#data.get(dataId);
    if (data.values !== null) {
      data.id = this.runtime.create(data.shape, data.type, data.values);
      data.values = null;
    }
    return data.id;
  }

  dataOf({ dataId }: TensorInfo): Data {
    return this.#data.get(dataId);
  }

  /** What an op gave, as a tensor's data. */
  adopt({ id, shape, dtype: type }: OpOutput): TensorInfo {
    // tfjs has no name for the wider and the unsigned ones.
    const dtype = dtypeOf(type) ?? (type === Type.resource ? 'string' : 'int32');
    const dataId = {};
    this.#register(dataId, { shape, type, id, values: null, refCount: 1 });
    return { dataId, shape: [...shape], dtype };
  }

  /** The storage that kernels in JavaScript run on: none of tfjs's backends, so that nothing there is anybody's tensor. */
  host(): MathBackendCPU {
    if (!this.#host) {
      this.#host = new MathBackendCPU();
      // It greets whoever uses it in Node.
      (this.#host as unknown as { firstUse: boolean }).firstUse = false;
    }
    return this.#host;
  }

  // What tfjs-node's kernels call.

  getDTypeInteger(dtype: DataType): number {
    return typeOf(dtype);
  }

  createReductionOpAttrs({ dtype }: TensorInfo, keepDims = false): Attribute[] {
    return [boolAttribute('keep_dims', keepDims), typeAttribute('T', dtype), typeAttribute('Tidx', 'int32')];
  }

  executeSingleInput(op: string, input: TensorInfo): Tensor {
    return this.executeSingleOutput(op, [typeAttribute('T', input.dtype)], [input]);
  }

  executeSingleOutput(op: string, attributes: readonly Attribute[], inputs: readonly TensorInfo[]): Tensor {
    return this.executeMultipleOutputs(op, attributes, inputs, 1)[0];
  }

  executeMultipleOutputs(
    op: string,
    attributes: readonly Attribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): Tensor[] {
    return this.launch(op, attributes, inputs, outputs).map((made) =>
      engine().makeTensorFromTensorInfo(made, this),
    );
  }

  applyActivation(
    input: Tensor,
    activation?: string | null,
    preluWeights?: Tensor,
    leakyreluAlpha?: number,
  ): Tensor {
    switch (activation ?? 'linear') {
      case 'linear':
        return input;
      case 'relu':
        return relu(input);
      case 'relu6':
        return relu6(input);
      case 'elu':
        return elu(input);
      case 'sigmoid':
        return sigmoid(input);
      case 'leakyrelu':
        return leakyRelu(input, leakyreluAlpha);
      case 'prelu':
        return prelu(input, preluWeights as Tensor);
      default:
        throw new Error(`There is no activation '${activation}' on this backend.`);
    }
  }

  // What tfjs calls.

  override write(values: Values, shape: number[], dtype: DataType): DataId {
    const dataId = {};
    this.move(dataId, values, shape, dtype, 1);
    return dataId;
  }

  override move(dataId: DataId, values: Values, shape: number[], dtype: DataType, refCount: number): void {
    this.#register(dataId, { shape, type: typeOf(dtype), id: -1, values, refCount });
  }

  override async read(dataId: DataId): Promise<Float32Array> {
    return this.readSync(dataId);
  }

  override readSync(dataId: DataId): Float32Array {
    const { values, id } = this.#data.get(dataId);
    return (values ?? this.runtime.read(id)) as Float32Array;
  }

  override incRef(dataId: DataId): void {
    this.#data.get(dataId).refCount++;
  }

  override refCount(dataId: DataId): number {
    return this.#data.has(dataId) ? this.#data.get(dataId).refCount : 0;
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.#data.has(dataId)) return true;
    const data = this.#data.get(dataId);
    data.refCount = force ? 0 : data.refCount - 1;
    if (data.refCount > 0) return false;
    this.#forget(dataId, data);
    return true;
  }

  override numDataIds(): number {
    return this.#data.numDataIds();
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return { unreliable: false, reasons: [] };
  }

  override async time(run: () => void): Promise<{ kernelMs: number }> {
    const start = util.now();
    run();
    return { kernelMs: util.now() - start };
  }

  /** Frees everything, and takes it out of tfjs's books: tensors that are left have no values any more. */
  override dispose(): void {
    forgetTensors(this, this.#live);
    for (const dataId of this.#live) this.#forget(dataId, this.#data.get(dataId));
    // What plans have kept.
    this.runtime.dispose();
  }

  #register(dataId: DataId, data: Data): void {
    this.#data.set(dataId, data);
    this.#live.add(dataId);
  }

  #forget(dataId: DataId, { id, values }: Data): void {
    if (values === null) this.runtime.free(id);
    this.#data.delete(dataId);
    this.#live.delete(dataId);
  }
}
