import type { Device } from './device.js';

/** Told of each dispatch of a replayed call that ran, and of the milliseconds that it took on the GPU. */
export type Profile = (kernel: string, milliseconds: number) => void;

/** Dispatches whose times one query set holds: WebGPU lets it have 4096 entries. */
const IN_ONE_SET = 2048;

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
    const bytes = 16 * names.length;
    const sets = Array.from({ length: Math.ceil(names.length / IN_ONE_SET) }, (_, k) =>
      gpu.createQuerySet({
        type: 'timestamp',
        count: 2 * Math.min(IN_ONE_SET, names.length - k * IN_ONE_SET),
      }),
    );
    const buffer = gpu.createBuffer({ size: bytes, usage: 0x200 | 0x4 /* QUERY_RESOLVE, COPY_SRC */ });
    return {
      pass: (k: number): GPUComputePassDescriptor => {
        const first = 2 * (k % IN_ONE_SET);
        return {
          timestampWrites: {
            querySet: sets[Math.floor(k / IN_ONE_SET)],
            beginningOfPassWriteIndex: first,
            endOfPassWriteIndex: first + 1,
          },
        };
      },
      resolve: (encoder: GPUCommandEncoder): void => {
        for (const [k, set] of sets.entries()) {
          encoder.resolveQuerySet(set, 0, set.count, buffer, 16 * IN_ONE_SET * k);
        }
      },
      report: async (): Promise<void> => {
        let times: BigInt64Array;
        try {
          times = new BigInt64Array(await this.#device.read({ buffer, offset: 0, size: bytes }));
        } catch (error) {
          // Nobody waits here to be told of it.
          this.#device.tellLater(error);
          return;
        } finally {
          for (const set of sets) set.destroy();
          buffer.destroy();
        }
        for (const [k, name] of names.entries())
          this.#profile(name, Number(times[2 * k + 1] - times[2 * k]) / 1e6);
      },
    };
  }
}
