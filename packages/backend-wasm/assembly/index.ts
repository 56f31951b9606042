// What is exported here is a kernel, called through the function table; but for `run`.
export * from './copy';
export * from './gemm';
export * from './run';
