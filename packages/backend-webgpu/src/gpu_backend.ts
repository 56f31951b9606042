import { forgetTensors, TenonError } from '@tenon-ml/core';
import { type DataType, type GPUData, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { Found } from './adapter.js';
import { moveOut } from './arena.js';
import {
  bindingOf,
  bytesOf,
  type Data,
  type DataId,
  isTexture,
  rawBytes,
  type Values,
  valuesOf,
  whole,
} from './data.js';
import { Device, type Slice } from './device.js';
import {
  type Access,
  broadcastAccess,
  type Graph,
  joinGraphs,
  linearGroups,
  MAP,
  type Node,
} from './graph.js';
import { type Profile, Profiler } from './profiler.js';
import { elementOf, Pipelines, type Program } from './program.js';
import type { Trace } from './recorder/trace.js';
import type { Subgroups } from './subgroups.js';
import { Base, commonUniforms, packUniforms, type TfjsProgram, type TfjsUniform } from './tfjs.js';
import { Workspace, type WorkspaceSession } from './workspace.js';

/** Why a call that reads can't be recorded. */
const READS = 'it reads values inside';

/** An operand of elementwise work; broadcast to the result's shape unless it says how it is read. */
export interface MapOperand {
  readonly tensor: TensorInfo;
  readonly access?: Access;
}

/**
 * tfjs's WebGPU backend on our buffers and commands: its own kernels and ours run in one order, and a trace can watch
 * both.
 */
export class GpuBackend extends Base {
  readonly commands: Device;
  readonly pipelines: Pipelines;
  /** What kernels may know of the device's subgroups; undefined where they can't use them. */
  readonly subgroups: Subgroups | undefined;
  /** What watches the commands, if anything does. */
  trace: Trace | undefined;
  /** Times the dispatches of replays, if it is there. */
  profiler: Profiler | undefined;
  readonly #live = new Set<DataId>();
  readonly #workspace: Workspace;
  readonly #numbers = new WeakMap<GPUBuffer, number>();
  #numbered = 0;
  #nothing: GPUBuffer | undefined;

  constructor(readonly found: Found) {
    super(found.device, found.info);
    this.commands = new Device(found.device);
    this.pipelines = new Pipelines(found.device);
    this.subgroups = found.subgroups;
    this.#workspace = new Workspace(this.commands);
  }

  // For kernels of ours.

  /** The data of a tensor, on the GPU. */
  dataOf(tensor: { readonly dataId: object }): Data {
    const data = this.tensorMap.get(tensor.dataId);
    if (!data.resource) this.uploadToGPU(tensor.dataId);
    return data;
  }

  /** A new tensor, uninitialised. */
  allocate(shape: readonly number[], dtype: DataType): TensorInfo {
    const tensor = this.makeTensorInfo([...shape], dtype);
    try {
      this.uploadToGPU(tensor.dataId);
    } catch (error) {
      this.disposeData(tensor.dataId, true);
      throw error;
    }
    return tensor;
  }

  /** The same data under another shape. */
  alias({ dataId, dtype }: TensorInfo, shape: readonly number[]): TensorInfo {
    this.incRef(dataId);
    return { dataId, dtype, shape: [...shape] };
  }

  /** Runs a program. Words are 32 bits each, in the order of its uniforms; see `floatBits` for numbers. */
  launch(
    program: Program,
    inputs: readonly TensorInfo[],
    outputs: readonly TensorInfo[],
    words: readonly number[],
    groups: readonly [number, number, number],
  ): void {
    const read = inputs.map((tensor) => this.dataOf(tensor));
    const written = outputs.map((tensor) => this.dataOf(tensor));
    this.trace?.launch(program, read, written, words, groups);
    this.commands.dispatch(
      this.pipelines.get(program),
      this.bind(this.pipelines.bindings(program), [...written, ...read].map(whole), words),
      groups,
    );
  }

  /**
   * A new tensor of which each element is one expression of the operands' elements `$0`, `$1`, … and its index `i`; `wide` as
   * of a `Node`.
   */
  map(
    shape: readonly number[],
    dtype: DataType,
    operands: readonly MapOperand[],
    code: string,
    wide = false,
  ): TensorInfo {
    const args = operands.map((_, k) => -1 - k);
    const [result] = this.mapAll(
      shape,
      operands,
      [{ code, element: elementOf(dtype), args, ...(wide && { wide }) }],
      [{ node: 0, dtype }],
    );
    return result;
  }

  /** New tensors of one shape, from operations that build on each other: see `Graph`. */
  mapAll(
    shape: readonly number[],
    operands: readonly MapOperand[],
    nodes: readonly Node[],
    outputs: readonly { readonly node: number; readonly dtype: DataType }[],
  ): TensorInfo[] {
    const results = outputs.map(({ dtype }) => this.allocate(shape, dtype));
    const graph: Graph<Data> = {
      count: util.sizeFromShape([...shape]),
      operands: operands.map(({ tensor, access }) => ({
        buffer: this.dataOf(tensor),
        element: elementOf(this.tensorMap.get(tensor.dataId).dtype),
        access: access ?? broadcastAccess(shape, tensor.shape),
      })),
      nodes,
      outputs: outputs.map(({ node }, k) => ({ node, buffer: this.dataOf(results[k]) })),
    };
    if (graph.count === 0) return results;
    this.trace?.map(graph);
    const { joined, outputs: written, inputs, words } = joinGraphs(MAP, { tail: graph, heads: new Map() });
    this.commands.dispatch(
      this.pipelines.get(MAP, joined),
      this.bind(this.pipelines.bindings(MAP, joined), [...(written as Data[]), ...inputs].map(whole), [
        graph.count,
        ...words,
      ]),
      linearGroups(graph.count),
    );
    return results;
  }

  /** A bind group of slices, and of uniform words if there are any. */
  bind(layout: GPUBindGroupLayout, slices: readonly Slice[], words: readonly number[]): GPUBindGroup {
    const all =
      words.length > 0
        ? [...slices, this.commands.uniforms(new Uint8Array(Uint32Array.from(words).buffer))]
        : slices;
    return this.commands.gpu.createBindGroup({
      layout,
      entries: all.map((resource, binding) => ({ binding, resource })),
    });
  }

  /** Tells of each dispatch of later replays. */
  profile(profile: Profile): void {
    this.profiler = new Profiler(this.commands, profile);
  }

  // For plans.

  /** A new tensor's data, which lies nowhere yet: whoever asks gives it a buffer, or a slice of an arena. */
  adopt(shape: readonly number[], dtype: DataType): { readonly id: object; readonly data: Data } {
    const id = this.write(undefined, [...shape], dtype);
    return { id, data: this.tensorMap.get(id) };
  }

  workspace(): WorkspaceSession {
    return this.#workspace.session();
  }

  /** A number for each buffer, to tell them apart by. */
  numberOf(buffer: GPUBuffer): number {
    let number = this.#numbers.get(buffer);
    if (number === undefined) {
      number = this.#numbered++;
      this.#numbers.set(buffer, number);
    }
    return number;
  }

  /** A buffer for bindings that nothing reads. */
  nothing(): GPUBuffer {
    this.#nothing ??= this.commands.acquire(16);
    return this.#nothing;
  }

  // In the place of tfjs's own.

  /** Where an op runs doesn't depend on where its operands happen to lie. */
  shouldExecuteOnCPU(): boolean {
    return false;
  }

  override write(values: Values, shape: number[], dtype: DataType): DataId {
    const id = super.write(values, shape, dtype);
    this.#live.add(id);
    return id;
  }

  override move(id: DataId, values: never, shape: number[], dtype: DataType, refCount: number): void {
    super.move(id, values, shape, dtype, refCount);
    this.#live.add(id);
  }

  uploadToGPU(id: DataId): void {
    const data = this.tensorMap.get(id);
    if (data.resource) return;
    if (data.dtype === 'string' || data.dtype === 'complex64') {
      throw new TenonError({
        code: 'DTYPE_MISMATCH',
        where: 'webgpu',
        expected: 'a tensor of float32, int32 or bool',
        got: data.dtype,
      });
    }
    const bytes = bytesOf(data);
    const buffer = this.commands.acquire(bytes);
    data.resource = buffer;
    const { values } = data;
    if (values && bytes > 0) {
      const raw = rawBytes(values as Float32Array, data.dtype);
      this.commands.write(buffer, raw);
      this.trace?.meet(data, raw);
    } else {
      this.trace?.meet(data, undefined);
    }
    data.values = null;
  }

  releaseResource(id: DataId): void {
    const data = this.tensorMap.get(id);
    const { resource, external, place } = data;
    data.resource = null;
    if (place) place.arena.free(place.slice);
    if (place || !resource || external) return;
    if (isTexture(resource)) this.textureManager.releaseTexture(resource);
    else this.commands.release(resource);
  }

  /** A copy of a buffer that somebody else made. */
  copyBuffer(from: GPUBuffer): GPUBuffer {
    const { size } = from;
    const copy = this.commands.acquire(size);
    this.commands.copy({ buffer: from, offset: 0, size }, { buffer: copy, offset: 0, size });
    return copy;
  }

  override disposeData(id: DataId, force = false): boolean {
    if (!this.tensorMap.has(id)) return true;
    const data = this.tensorMap.get(id);
    data.refCount = force ? 0 : data.refCount - 1;
    if (data.refCount > 0) return false;
    if (data.complexTensorInfos) {
      this.disposeData(data.complexTensorInfos.real.dataId);
      this.disposeData(data.complexTensorInfos.imag.dataId);
    }
    this.releaseResource(id);
    this.tensorMap.delete(id);
    this.#live.delete(id);
    return true;
  }

  tensorToBinding(tensor: TensorInfo | null): GPUBindingResource | null {
    return tensor && bindingOf(this.dataOf(tensor));
  }

  /** Takes a dispatch of one of tfjs's programs. */
  recordAndSubmit(
    program: TfjsProgram,
    output: TensorInfo,
    inputs: readonly TensorInfo[],
    own?: readonly TfjsUniform[] | null,
  ): void {
    const bytes = packUniforms([...commonUniforms(program, output, inputs), ...(own ?? [])]);
    const read = inputs.map((tensor) => this.dataOf(tensor));
    const written = this.dataOf(output);
    const [x, y = 1, z = 1] = program.dispatch;
    const ofPixels = program.pixelsOpType != null;
    if (ofPixels) this.trace?.unrecordable('it reads or draws pixels');
    this.trace?.foreign(program.pipeline, program.shaderKey, read, written, bytes, [x, y, z]);
    const slices = [...[written, ...read].map(bindingOf), this.commands.uniforms(bytes)];
    const bindings = this.commands.gpu.createBindGroup({
      layout: program.pipeline.getBindGroupLayout(0),
      entries: slices.map((resource, binding) => ({ binding, resource })),
    });
    this.commands.dispatch(program.pipeline, bindings, [x, y, z]);
    // A canvas's texture and a video's frame end with the turn, and other textures are used again.
    if (ofPixels) this.commands.submit();
  }

  ensureCommandEncoderReady(): void {
    this.commandEncoder = this.commands.encoder();
  }

  endComputePassEncoder(): void {
    this.commands.endPass();
  }

  submitQueue(): void {
    this.commandEncoder = null;
    this.commands.submit();
  }

  override async read(id: DataId): Promise<Float32Array> {
    const data = this.tensorMap.get(id);
    const { values, dtype, complexTensorInfos, resource, shape } = data;
    if (values) return values as Float32Array;
    this.trace?.unrecordable(READS);
    if (complexTensorInfos) {
      const [real, imag] = await Promise.all([
        this.read(complexTensorInfos.real.dataId),
        this.read(complexTensorInfos.imag.dataId),
      ]);
      return Float32Array.from({ length: 2 * real.length }, (_, i) => (i % 2 ? imag : real)[i >> 1]);
    }
    const bytes = 4 * util.sizeFromShape(shape);
    if (!resource || bytes === 0) return valuesOf(new ArrayBuffer(bytes), dtype) as Float32Array;
    return valuesOf(await this.commands.read({ ...whole(data), size: bytes }), dtype) as Float32Array;
  }

  override readSync(id: DataId): Float32Array {
    const data = this.tensorMap.get(id);
    const { values, dtype, shape, complexTensorInfos } = data;
    if (values) return values as Float32Array;
    this.trace?.unrecordable(READS);
    if (typeof OffscreenCanvas === 'undefined' && !complexTensorInfos && data.resource) {
      throw new TenonError({
        code: 'BACKEND_FAILED',
        where: 'webgpu',
        message: 'values on a GPU can’t be read synchronously here',
        hint: 'Use `await tensor.data()`, or run this on wasm.',
      });
    }
    const size = util.sizeFromShape(shape) * (dtype === 'complex64' ? 2 : 1);
    moveOut(this.commands, data);
    const read = super.readSync(id).slice(0, size) as Float32Array;
    // tfjs keeps what was read, as long as the buffer is.
    data.values = null;
    return read;
  }

  /** tfjs takes what it hands out for a buffer of the tensor's own. */
  override readToGPU(id: DataId, options?: object): GPUData {
    moveOut(this.commands, this.tensorMap.get(id));
    return super.readToGPU(id, options);
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return { unreliable: false, reasons: [] };
  }

  override numDataIds(): number {
    return this.tensorMap.numDataIds();
  }

  /** Frees everything, and takes it out of tfjs's books: tensors that are left have no values any more. */
  override dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    forgetTensors(this, this.#live);
    for (const id of this.#live) this.tensorMap.delete(id);
    this.#live.clear();
    this.commands.dispose();
  }
}
