import type { DataType, TypedArray } from '@tensorflow/tfjs-core';

/** The native module that tfjs-node-gpu builds: TensorFlow's eager runtime. Tensors in it are numbers. */
export interface Binding {
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
  /** Takes the array over: TensorFlow may share its memory. */
  createTensor(shape: readonly number[], type: number, values: TypedArray | Uint8Array[]): number;
  deleteTensor(id: number): void;
  /** A copy of its values. */
  tensorDataSync(id: number): TypedArray | Uint8Array[];
  executeOp(
    op: string,
    attributes: readonly Attribute[],
    inputs: readonly number[],
    outputs: number,
  ): OpOutput[];
  getNumOfTensors(): number;
}

/** What an op gives. */
export interface OpOutput {
  readonly id: number;
  readonly shape: number[];
  /** One of `Type`. */
  readonly dtype: number;
}

/** A constant of an op. */
export interface Attribute {
  readonly name: string;
  /** Its kind, of TF_AttrType. */
  readonly type: number;
  readonly value: boolean | number | string | readonly number[];
}

/** TF_DataType, of tensorflow/c/tf_datatype.h: what tfjs has, and what our kernels use in between. */
export const Type = {
  float32: 1,
  int32: 3,
  uint8: 4,
  string: 7,
  complex64: 8,
  int64: 9,
  bool: 10,
  resource: 20,
  uint32: 22,
  uint64: 23,
} as const;

/** TF_AttrType, of tensorflow/c/tf_attrtype.h. */
const Kind = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5 } as const;

export function typeAttribute(name: string, dtype: keyof typeof Type): Attribute {
  return { name, type: Kind.type, value: Type[dtype] };
}

export function intAttribute(name: string, value: number | readonly number[]): Attribute {
  return { name, type: Kind.int, value };
}

export function floatAttribute(name: string, value: number): Attribute {
  return { name, type: Kind.float, value };
}

export function boolAttribute(name: string, value: boolean): Attribute {
  return { name, type: Kind.bool, value };
}

export function stringAttribute(name: string, value: string): Attribute {
  return { name, type: Kind.string, value };
}

export function shapeAttribute(name: string, value: readonly number[]): Attribute {
  return { name, type: Kind.shape, value };
}

/** The constants that tfjs-node's kernels read off the binding. */
export const constants: { readonly [name: string]: number } = {
  TF_FLOAT: Type.float32,
  TF_INT32: Type.int32,
  TF_INT64: Type.int64,
  TF_BOOL: Type.bool,
  TF_COMPLEX64: Type.complex64,
  TF_STRING: Type.string,
  TF_RESOURCE: Type.resource,
  TF_UINT8: Type.uint8,
  TF_ATTR_STRING: Kind.string,
  TF_ATTR_INT: Kind.int,
  TF_ATTR_FLOAT: Kind.float,
  TF_ATTR_BOOL: Kind.bool,
  TF_ATTR_TYPE: Kind.type,
  TF_ATTR_SHAPE: Kind.shape,
};

/** tfjs's name of a type; undefined for what tfjs has none of. */
export function dtypeOf(type: number): DataType | undefined {
  switch (type) {
    case Type.float32:
      return 'float32';
    case Type.int32:
      return 'int32';
    case Type.bool:
      return 'bool';
    case Type.complex64:
      return 'complex64';
    case Type.string:
      return 'string';
    default:
      return undefined;
  }
}

/** TensorFlow's number of a dtype of tfjs. */
export function typeOf(dtype: string): number {
  if (!Object.hasOwn(Type, dtype)) throw new Error(`TensorFlow has no type for the dtype ${dtype}.`);
  return Type[dtype as keyof typeof Type];
}

const BYTES: { readonly [type: number]: number } = {
  [Type.float32]: 4,
  [Type.int32]: 4,
  [Type.uint8]: 1,
  [Type.complex64]: 8,
  [Type.int64]: 8,
  [Type.bool]: 1,
  [Type.uint32]: 4,
  [Type.uint64]: 8,
};

/** Bytes of a tensor; 0 for strings, which lie elsewhere. */
export function bytesOf(type: number, shape: readonly number[]): number {
  return (BYTES[type] ?? 0) * shape.reduce((a, b) => a * b, 1);
}
