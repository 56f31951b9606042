export { type CudaBackend, type CudaOptions, cuda } from './cuda.js';
export type { StartOptions } from './open.js';
export type { Counters } from './runtime.js';
