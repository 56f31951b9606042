import type { KernelName } from '../module/kernels.js';

/** How a kernel is told to end with a relu of what it computes. */
export interface Epilogue {
  /** Which of its integers holds its flags. */
  readonly flags: number;
  /** The flag. */
  readonly relu: number;
}

/** The kernels that can: the places are those in which `product` and `convolve` put their flags. */
export const epilogues: { readonly [K in KernelName]?: Epilogue } = {
  gemm: { flags: 13, relu: 2 },
  convolve: { flags: 12, relu: 2 },
};
