import type { ProductWorkload } from '../workload.js';

export const matmul: ProductWorkload = {
  kind: 'product',
  name: 'matmul',
  summary: 'products of matrices: n is [n, n]·[n, n], and 32x128x4096 is [32, 128]·[128, 4096]',
  batches: [1],
  products: [
    ...[256, 512, 1024].map((n) => ({ case: String(n), rows: n, inner: n, columns: n })),
    { case: '32x128x4096', rows: 32, inner: 128, columns: 4096 },
  ],
};
