import type { Device } from './device.js';

/** Told of each dispatch of a replayed call that ran, and of the milliseconds that it took on the GPU. */
export type Profile = (kernel: string, milliseconds: number) => void;

/** Takes the time of dispatches, each in a pass of its own, where the device has timestamps. */
export class Profiler {
  readonly #device: Device;
  readonly #profile: Profile;

  constructor(device: Device, profile: Profile) {
    this.#device = device;
    this.#profile = profile;
  }

  /** Times the dispatches of one replay; nothing where the device has no timestamps. */
  begin(names: readonly string[]) {
    const { gpu } = this.#device;
    if (!gpu.features.has('timestamp-query') || names.length === 0) return undefined;
    const count = 2 * names.length;
    const querySet = gpu.createQuerySet({ type: 'timestamp', count });
    const buffer = gpu.createBuffer({ size: 8 * count, usage: 0x200 | 0x4 /* QUERY_RESOLVE, COPY_SRC */ });
    return {
      pass: (k: number): GPUComputePassDescriptor => ({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * k, endOfPassWriteIndex: 2 * k + 1 },
      }),
      resolve: (encoder: GPUCommandEncoder): void => {
        encoder.resolveQuerySet(querySet, 0, count, buffer, 0);
      },
      report: async (): Promise<void> => {
        const times = new BigInt64Array(await this.#device.read(buffer, 8 * count));
        querySet.destroy();
        buffer.destroy();
        for (const [k, name] of names.entries())
          this.#profile(name, Number(times[2 * k + 1] - times[2 * k]) / 1e6);
      },
    };
  }
}
