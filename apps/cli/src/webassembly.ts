/** What this host's WebAssembly can do that kernels use. */
export interface WebAssemblyFeatures {
  /** 128-bit vectors. */
  readonly simd: boolean;
  /** Memory that threads share, and atomic operations on it. */
  readonly threads: boolean;
  /** Vectors with fused multiply-add, whose last bit may differ between machines. */
  readonly relaxedSimd: boolean;
}

const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

// Sections, each with its length: 1 types, 3 functions, 5 memories, 10 code.
const modules: { readonly [F in keyof WebAssemblyFeatures]: readonly number[] } = {
  // () → v128: i32.const 0, i8x16.splat, i8x16.popcnt
  simd: [1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 10, 1, 8, 0, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x62, 0x0b],
  // a shared memory; () → (): i32.const 0, i32.atomic.load16_u, drop
  threads: [
    1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 5, 4, 1, 3, 1, 1, 10, 11, 1, 9, 0, 0x41, 0, 0xfe, 0x10, 2, 0, 0x1a, 0x0b,
  ],
  // () → v128: two splats, i8x16.relaxed_swizzle
  relaxedSimd: [
    1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 15, 1, 13, 0, 0x41, 1, 0xfd, 0x0f, 0x41, 2, 0xfd, 0x0f, 0xfd,
    0x80, 2, 0x0b,
  ],
};

/** Asks the host to validate a tiny module for each feature; threads need SharedArrayBuffer besides. */
export function webAssemblyFeatures(): WebAssemblyFeatures {
  const validates = (feature: keyof WebAssemblyFeatures): boolean =>
    typeof WebAssembly === 'object' &&
    WebAssembly.validate(Uint8Array.from([...header, ...modules[feature]]));
  return {
    simd: validates('simd'),
    threads: typeof SharedArrayBuffer === 'function' && validates('threads'),
    relaxedSimd: validates('relaxedSimd'),
  };
}

/** `SIMD yes, threads yes, relaxed SIMD no` */
export function formatFeatures({ simd, threads, relaxedSimd }: WebAssemblyFeatures): string {
  const word = (there: boolean): string => (there ? 'yes' : 'no');
  return `SIMD ${word(simd)}, threads ${word(threads)}, relaxed SIMD ${word(relaxedSimd)}`;
}
