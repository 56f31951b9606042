import { TenonError } from '@tenon-ml/core';
import { findSubgroups, type Subgroups } from './subgroups.js';

/** What a device was made of: for `init`'s answer, for `tenon doctor`, and for messages. */
export interface Found {
  /** Where it came from. Dawn in Node ends, and takes the process along, when this is collected. */
  readonly gpu: GPU;
  readonly device: GPUDevice;
  /** 'nvidia ampere, NVIDIA RTX A2000', as far as the browser tells. */
  readonly description: string;
  readonly info: GPUAdapterInfo;
  /** Whether it is a GPU in software (SwiftShader, lavapipe, WARP). */
  readonly isSoftware: boolean;
  /** What kernels may know of its subgroups; undefined where they can't use them. */
  readonly subgroups: Subgroups | undefined;
}

export interface AdapterOptions {
  readonly gpu?: GPU;
  readonly powerPreference?: GPUPowerPreference;
}

/** Features that are asked for where the adapter has them. */
const FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as readonly GPUFeatureName[];

/** Limits that are raised to what the adapter has. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/**
 * Finds a GPU and opens it: the browser's `navigator.gpu`; in Node the npm package `webgpu`, which is Dawn, Chromium's
 * own implementation. Throws `BACKEND_UNAVAILABLE`, saying what is missing and what to do.
 */
export async function openDevice({ gpu, powerPreference }: AdapterOptions): Promise<Found> {
  const implementation = gpu ?? (await findImplementation());
  const advice = isNode ? NO_ADAPTER_NODE : NO_ADAPTER_BROWSER;
  let adapter: GPUAdapter | null;
  try {
    adapter = await implementation.requestAdapter({
      powerPreference: powerPreference ?? 'high-performance',
    });
  } catch (error) {
    throw unavailable(`WebGPU could not look for a GPU: ${firstLine(error)}`, advice);
  }
  if (!adapter) throw unavailable('WebGPU is there, but it found no GPU', advice);
  const limits: { [name: string]: number } = {};
  for (const name of LIMITS) limits[name] = adapter.limits[name];
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
      requiredLimits: limits,
    });
  } catch (error) {
    throw unavailable(`the GPU could not be opened: ${firstLine(error)}`, OTHERWISE);
  }
  const { info } = adapter;
  const description = [info.vendor, info.architecture, info.description].filter(Boolean).join(' ');
  const isSoftware =
    info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(description);
  const subgroups = await findSubgroups(device, info);
  return { gpu: implementation, device, description: description || 'GPU', info, isSoftware, subgroups };
}

const isNode = typeof process !== 'undefined' && process.versions?.node !== undefined;

const OTHERWISE = 'Close other programs that use it, start this one again, or use wasm.';
const NO_ADAPTER_NODE =
  'On Linux it needs Vulkan (Debian: libvulkan1 and the driver of the GPU). wasm runs everywhere.';
const NO_ADAPTER_BROWSER =
  'Look at chrome://gpu; in a virtual machine there may be none. wasm runs everywhere.';

async function findImplementation(): Promise<GPU> {
  const own = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  if (own) return own;
  if (!isNode) {
    throw unavailable(
      'this browser has no WebGPU here',
      'It needs a recent Chrome, Edge, Firefox or Safari, and a secure page (https or localhost). wasm runs everywhere.',
    );
  }
  return openDawn();
}

/**
 * Workgroup memory begins as zeros. Dawn can ask the driver for that, or put a loop into the shader, as it does where
 * drivers can't. SwiftShader unrolls what it is asked for: a program with a tile of 8 kB takes it a second to compile in
 * the place of 40 ms.
 */
export const DAWN_OPTIONS = ['disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension'];

/** Dawn, with the constants and classes that a browser has among its globals. */
async function openDawn(): Promise<GPU> {
  // A variable, so that bundlers leave an optional package alone.
  const name = 'webgpu';
  let dawn: { create(options: string[]): GPU; globals: Record<string, unknown> };
  try {
    dawn = await import(/* @vite-ignore */ /* webpackIgnore: true */ name);
  } catch (error) {
    throw unavailable(
      `Node has no WebGPU of its own, and the package 'webgpu' could not be loaded (${firstLine(error)})`,
      'Install it: npm install webgpu@0.6.2. Or use wasm.',
    );
  }
  // tfjs's backend looks for GPUBuffer and its like among the globals.
  for (const [key, value] of Object.entries(dawn.globals)) {
    if (!(key in globalThis)) Object.defineProperty(globalThis, key, { value, configurable: true });
  }
  return dawn.create(DAWN_OPTIONS);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}

function unavailable(message: string, hint: string): TenonError {
  return new TenonError({ code: 'BACKEND_UNAVAILABLE', where: 'webgpu', message, hint });
}
