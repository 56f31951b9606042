import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import {
  type DataType,
  type GPUData,
  type KernelBackend,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { Data, DataId, Values } from './data.js';

/** What a program of tfjs's backend is, as far as its submission needs. */
export interface TfjsProgram {
  readonly pipeline: GPUComputePipeline;
  readonly shaderKey: string;
  readonly dispatch: readonly [number, number?, number?];
  readonly outputShape: number[];
  readonly size?: boolean;
  readonly outputComponent?: number;
  readonly pixelsOpType?: number;
}

/** A field of its uniforms, in the order of their declaration. */
export interface TfjsUniform {
  readonly type: string;
  readonly data: readonly number[];
}

/** The parts of tfjs's backend that its types hide; the version is pinned, and `test/tfjs.test.ts` holds us to them. */
export interface TfjsBackend extends KernelBackend {
  readonly tensorMap: {
    get(id: DataId): Data;
    has(id: DataId): boolean;
    set(id: DataId, data: Data): void;
    delete(id: DataId): boolean;
    numDataIds(): number;
  };
  commandEncoder: GPUCommandEncoder | null;
  readonly textureManager: { releaseTexture(texture: GPUTexture): void };
  disposed: boolean;
  write(values: Values, shape: number[], dtype: DataType): DataId;
  makeTensorInfo(shape: number[], dtype: DataType, values?: Values): TensorInfo;
  convertAndCacheOnCPU(id: DataId, values: Values): Values;
  readToGPU(id: DataId, options?: object): GPUData;
}

// Its types declare private what has to be replaced.
export const Base = WebGPUBackend as unknown as new (device: GPUDevice, info: GPUAdapterInfo) => TfjsBackend;

/** The uniforms that tfjs's generated shaders declare before their own. */
export function commonUniforms(
  { pixelsOpType, size, outputShape, outputComponent }: TfjsProgram,
  output: TensorInfo,
  inputs: readonly TensorInfo[],
): TfjsUniform[] {
  const uniforms: TfjsUniform[] = [];
  const integers = (data: readonly number[]): void => void uniforms.push({ type: 'int32', data });
  if (pixelsOpType == null) {
    uniforms.push(
      { type: 'float32', data: [Number.NaN] },
      { type: 'float32', data: [Number.POSITIVE_INFINITY] },
    );
    for (const { shape } of [...inputs, output]) {
      integers(shape);
      integers(util.computeStrides(shape));
    }
  } else {
    integers(util.computeStrides(output.shape));
  }
  if (size) integers([util.sizeFromShape(outputShape) / (outputComponent || 1)]);
  return uniforms;
}

/** Uniforms as tfjs's shaders expect them: see `makeUniforms` and `insertAlignment` in its sources. */
export function packUniforms(uniforms: readonly TfjsUniform[]): Uint8Array {
  let offset = 0;
  let widest = 4;
  let before = 0;
  const places = uniforms.map(({ data }) => {
    const length = Math.max(1, data.length);
    // vec5 and vec6 are structs, after which tfjs aligns by 16.
    const alignment = before >= 5 ? 16 : length === 1 ? 4 : length === 2 ? 8 : 16;
    widest = Math.max(widest, alignment);
    offset = Math.ceil(offset / alignment) * alignment;
    const place = offset;
    offset += 4 * length;
    before = length;
    return place;
  });
  const bytes = new ArrayBuffer(Math.ceil(offset / widest) * widest);
  for (const [k, { type, data }] of uniforms.entries()) {
    const values = data.length === 0 ? [1] : data;
    const View = type === 'int32' ? Int32Array : type === 'uint32' ? Uint32Array : Float32Array;
    new View(bytes, places[k], values.length).set(values);
  }
  return new Uint8Array(bytes);
}
