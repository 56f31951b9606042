import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { type backend_util, type DataType, engine } from '@tensorflow/tfjs-core';

type Values = backend_util.BackendValues;
type DataId = ReturnType<MathBackendCPU['write']>;

/**
 * The storage under one engine: tfjs-backend-cpu's, which tfjs demands be inherited (the kernels taken over from it
 * reach into its fields), with what it does loosely made strict:
 *
 * - The array under a tensor has the class of the tensor's dtype, always: kernels here rely on it.
 * - What is read is a copy. The original would let a caller write into a tensor, as TensorScatterUpdate does.
 * - It knows what lives on it, so that `dispose` can free it.
 * - It doesn't greet on the console.
 */
export class EngineBackend extends MathBackendCPU {
  readonly #live = new Set<DataId>();

  constructor() {
    super();
    (this as unknown as { firstUse: boolean }).firstUse = false;
  }

  override write(values: Values, shape: number[], dtype: DataType): DataId {
    const dataId = super.write(ofClass(values, dtype), shape, dtype);
    this.#live.add(dataId);
    return dataId;
  }

  override move(dataId: DataId, values: Values, shape: number[], dtype: DataType, refCount: number): void {
    super.move(dataId, ofClass(values, dtype), shape, dtype, refCount);
    this.#live.add(dataId);
  }

  override readSync(dataId: DataId): Values {
    return super.readSync(dataId).slice() as Values;
  }

  override disposeData(dataId: DataId, force?: boolean): boolean {
    const freed = super.disposeData(dataId, force);
    if (freed) this.#live.delete(dataId);
    return freed;
  }

  /** Frees everything, and takes it out of tfjs's books: tensors that are left have no values any more. */
  override dispose(): void {
    const { state } = engine();
    for (const variable of Object.values(state.registeredVariables)) {
      if (state.tensorInfo.get(variable.dataId)?.backend === this) variable.dispose();
    }
    for (const dataId of this.#live) {
      const info = state.tensorInfo.get(dataId);
      // Parts of complex tensors are in no book of tfjs's.
      if (info?.backend === this) {
        const tensors = this.refCount(dataId);
        state.numTensors -= tensors;
        if (info.dtype === 'string') {
          state.numStringTensors -= tensors;
          state.numBytes -= info.bytes;
        } else {
          state.numBytes -= info.bytes * tensors;
        }
        engine().removeDataId(dataId, this);
      }
      this.data.delete(dataId);
    }
    this.#live.clear();
  }
}

function ofClass(values: Values, dtype: DataType): Values {
  // Complex tensors are made without values; strings are arrays of bytes.
  if (!values) return values;
  const numbers = values as ArrayLike<number>;
  if (dtype === 'float32') return values instanceof Float32Array ? values : Float32Array.from(numbers);
  if (dtype === 'int32') return values instanceof Int32Array ? values : Int32Array.from(numbers);
  if (dtype === 'bool') return values instanceof Uint8Array ? values : Uint8Array.from(numbers);
  return values;
}
