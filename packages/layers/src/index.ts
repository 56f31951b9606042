export * from './activation.js';
export type * from './attention.js';
export { multiHeadAttention, multiHeadAttentionDefinition } from './attention.js';
export * from './containers.js';
export * from './convolution.js';
export {
  type DenseOptions,
  dense,
  denseDefinition,
  type KernelParams,
} from './dense.js';
export * from './embedding.js';
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
export * from './recurrent.js';
export * from './regularization.js';
export * from './resnet.js';
export * from './shape.js';
export * from './summary.js';
export * from './transformer.js';
export type { Padding } from './windows.js';
