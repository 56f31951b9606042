export * from '../cache.js';
export type { Report, SetupOptions, SetupResult } from './options.js';
export { type RemovedCuda, removeCuda } from './remove.js';
export { setupCuda } from './setup.js';
