import { batchNorm, conv2d, dense, globalAvgPool2d, relu, resnetBlock, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { randomLabels, type TrainingWorkload } from '../workload.js';

/** He et al. 2016 in the size of MLPerf Tiny. */
export const resnet8: TrainingWorkload = {
  kind: 'training',
  name: 'resnet8',
  summary: 'a residual network: convolution 16 and blocks of 16, 32, 64 with batch norm, on 32×32×3 images',
  batches: [32],
  model: sequential({
    stem: conv2d(16, 3, { padding: 'same', bias: false }),
    norm: batchNorm(),
    relu: relu(),
    block1: resnetBlock(16),
    block2: resnetBlock(32, { strides: 2 }),
    block3: resnetBlock(64, { strides: 2 }),
    pool: globalAvgPool2d(),
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
