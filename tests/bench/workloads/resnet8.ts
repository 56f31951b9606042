import { avgPool2d, batchNorm, conv2d, dense, flatten, relu, residual, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { randomLabels, type TrainingWorkload } from '../workload.js';

function convolution(filters: number, strides = 1, size = 3) {
  return sequential([conv2d(filters, size, { strides, padding: 'same', bias: false }), batchNorm()]);
}

function block(filters: number, strides: number) {
  const body = sequential([convolution(filters, strides), relu(), convolution(filters)]);
  const joined =
    strides === 1 ? residual(body) : residual(body, { shortcut: convolution(filters, strides, 1) });
  return sequential({ joined, relu: relu() });
}

/** He et al. 2016 in the size of MLPerf Tiny. */
export const resnet8: TrainingWorkload = {
  kind: 'training',
  name: 'resnet8',
  summary: 'a residual network: convolution 16 and blocks of 16, 32, 64 with batch norm, on 32×32×3 images',
  batches: [32],
  model: sequential({
    stem: convolution(16),
    relu: relu(),
    block1: block(16, 1),
    block2: block(32, 2),
    block3: block(64, 2),
    pool: avgPool2d(8),
    flatten: flatten(),
    head: dense(10),
  }),
  input: { shape: [null, 32, 32, 3], dtype: 'float32' },
  parameters: 78_042,
  loss: softmaxCrossEntropy() as TrainingWorkload['loss'],
  data(key, batch) {
    const [pixels, labels] = key.split(2);
    return { input: pixels.uniform([batch, 32, 32, 3]), target: randomLabels(labels, [batch], 10) };
  },
};
