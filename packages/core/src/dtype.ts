import { TenonError } from './errors.js';

/** Element types of host values. */
export type DType =
  | 'float64'
  | 'float32'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'bool';

/** The array that holds a dtype's elements; `bool` is held as bytes of 0 and 1. */
export interface TypedArrays {
  float64: Float64Array;
  float32: Float32Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint32: Uint32Array;
  uint16: Uint16Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** Any of the arrays that hold elements. */
export type TypedArray = TypedArrays[DType];

/** Element types that live on a device: what tfjs kernels compute with. */
export type DeviceDType = 'float32' | 'int32' | 'bool';

interface DTypeInfo<D extends DType = DType> {
  readonly bytes: number;
  readonly create: (length: number) => TypedArrays[D];
  readonly view: (buffer: ArrayBufferLike, offset: number, length: number) => TypedArrays[D];
  /** Its name in a safetensors header. */
  readonly safetensors: string;
  /** What `upload` makes of it without losing a value; null: it has to be cast by hand first. */
  readonly device: DeviceDType | null;
  /** The integers that it holds exactly, for checked casts; null where it holds fractions. */
  readonly range: readonly [number, number] | null;
}

/**
 * The one table of what holds which dtype and how it converts.
 *
 * | dtype | NdArray | safetensors | on a device |
 * |---|---|---|---|
 * | float64 | yes | F64 | no: `cast` to float32 first, since that narrows |
 * | float32 | yes | F32 | float32 |
 * | float16, bfloat16 | read as float32 (exact) | F16, BF16 (read only) | float32 |
 * | int64, uint32 | yes | I64, U32 | no: `cast` to int32 first, which is checked |
 * | int32 | yes | I32 | int32 |
 * | int16, int8, uint16, uint8 | yes | I16, I8, U16, U8 | int32 (exact) |
 * | bool | yes | BOOL | bool |
 */
export const dtypes: { readonly [D in DType]: DTypeInfo<D> } = {
  float64: {
    bytes: 8,
    create: (n) => new Float64Array(n),
    view: (b, o, n) => new Float64Array(b, o, n),
    safetensors: 'F64',
    device: null,
    range: null,
  },
  float32: {
    bytes: 4,
    create: (n) => new Float32Array(n),
    view: (b, o, n) => new Float32Array(b, o, n),
    safetensors: 'F32',
    device: 'float32',
    range: null,
  },
  int64: {
    bytes: 8,
    create: (n) => new BigInt64Array(n),
    view: (b, o, n) => new BigInt64Array(b, o, n),
    safetensors: 'I64',
    device: null,
    range: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  },
  int32: {
    bytes: 4,
    create: (n) => new Int32Array(n),
    view: (b, o, n) => new Int32Array(b, o, n),
    safetensors: 'I32',
    device: 'int32',
    range: [-(2 ** 31), 2 ** 31 - 1],
  },
  int16: {
    bytes: 2,
    create: (n) => new Int16Array(n),
    view: (b, o, n) => new Int16Array(b, o, n),
    safetensors: 'I16',
    device: 'int32',
    range: [-(2 ** 15), 2 ** 15 - 1],
  },
  int8: {
    bytes: 1,
    create: (n) => new Int8Array(n),
    view: (b, o, n) => new Int8Array(b, o, n),
    safetensors: 'I8',
    device: 'int32',
    range: [-128, 127],
  },
  uint32: {
    bytes: 4,
    create: (n) => new Uint32Array(n),
    view: (b, o, n) => new Uint32Array(b, o, n),
    safetensors: 'U32',
    device: null,
    range: [0, 2 ** 32 - 1],
  },
  uint16: {
    bytes: 2,
    create: (n) => new Uint16Array(n),
    view: (b, o, n) => new Uint16Array(b, o, n),
    safetensors: 'U16',
    device: 'int32',
    range: [0, 2 ** 16 - 1],
  },
  uint8: {
    bytes: 1,
    create: (n) => new Uint8Array(n),
    view: (b, o, n) => new Uint8Array(b, o, n),
    safetensors: 'U8',
    device: 'int32',
    range: [0, 255],
  },
  bool: {
    bytes: 1,
    create: (n) => new Uint8Array(n),
    view: (b, o, n) => new Uint8Array(b, o, n),
    safetensors: 'BOOL',
    device: 'bool',
    range: [0, 1],
  },
};

/** Whether `name` is one of the dtypes that an NdArray can have. */
export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && Object.hasOwn(dtypes, name);
}

/** The dtype that `upload` gives a host value of `dtype`. Throws `DTYPE_MISMATCH` where that would narrow. */
export function deviceDType(dtype: DType, where?: string): DeviceDType {
  const { device } = dtypes[dtype];
  if (device) return device;
  const target = dtype === 'float64' ? 'float32' : 'int32';
  throw new TenonError({
    code: 'DTYPE_MISMATCH',
    where,
    expected: 'a dtype that a device holds (float32, int32, bool, or a smaller integer)',
    got: dtype,
    hint: `Nothing narrows in silence: cast(array, '${target}') first.`,
  });
}
