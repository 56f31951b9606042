/** A device that keeps books and computes nothing. */
export interface FakeDevice {
  readonly gpu: GPUDevice;
  /** Sizes of the buffers that live. */
  sizes(): number[];
  /** How many submissions there were. */
  submissions(): number;
  /** What the device finds out late. */
  fail(name: 'GPUOutOfMemoryError' | 'GPUValidationError', message: string): void;
  lose(reason: 'destroyed' | 'unknown', message: string): Promise<void>;
}

export const fakeLimits = {
  maxBufferSize: 1 << 20,
  maxStorageBufferBindingSize: 1 << 20,
  minUniformBufferOffsetAlignment: 256,
};

export function fakeDevice(): FakeDevice {
  const live = new Set<GPUBuffer>();
  let submissions = 0;
  let listener: (event: object) => void = () => {};
  let lose: (info: object) => void = () => {};
  const lost = new Promise<object>((resolve) => {
    lose = resolve;
  });
  const ignore = (): void => {};
  const encoder = { copyBufferToBuffer: ignore, finish: () => ({}) };
  const gpu = {
    limits: fakeLimits,
    features: new Set<string>(),
    lost,
    addEventListener: (_: string, listen: typeof listener) => {
      listener = listen;
    },
    createBuffer: ({ size }: { size: number }) => {
      const buffer = {
        size,
        destroy: () => live.delete(buffer),
        mapAsync: () => Promise.resolve(),
        getMappedRange: (_: number, bytes: number) => new ArrayBuffer(bytes),
        unmap: ignore,
      } as unknown as GPUBuffer;
      live.add(buffer);
      return buffer;
    },
    createCommandEncoder: () => encoder,
    destroy: ignore,
    queue: {
      submit: () => {
        submissions++;
      },
      writeBuffer: ignore,
      onSubmittedWorkDone: () => Promise.resolve(),
    },
  };
  return {
    gpu: gpu as unknown as GPUDevice,
    sizes: () => [...live].map(({ size }) => size),
    submissions: () => submissions,
    fail: (name, message) => {
      const error = Object.assign(Object.create({ constructor: { name } }), { message });
      listener({ error });
    },
    async lose(reason, message) {
      lose({ reason, message });
      await lost;
    },
  };
}
