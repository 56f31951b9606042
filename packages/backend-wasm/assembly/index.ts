// What is exported here is a kernel, called through the function table; but for `run`.
export * from './activation';
export * from './boolean';
export * from './broadcast';
export * from './convolution';
export * from './convolution_gradients';
export * from './copy';
export * from './cross_entropy';
export * from './elementwise';
export * from './gather';
export * from './gemm';
export * from './normalization';
export * from './movement';
export * from './optimizer';
export * from './pooling';
export * from './random';
export * from './reduction';
export * from './run';
