export * from './activation.js';
export * from './containers.js';
export * from './convolution.js';
export * from './dense.js';
export {
  type Fans,
  fansOf,
  type Initializer,
  type InitializerName,
  initialize,
} from './initializers.js';
export * from './normalization.js';
export type { Pair } from './options.js';
export * from './pooling.js';
export * from './regularization.js';
export * from './shape.js';
export * from './summary.js';
export type { Padding } from './windows.js';
