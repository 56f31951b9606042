import { conv2d, dense, flatten, maxPool2d, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { randomLabels, type TrainingWorkload } from '../workload.js';

/** The network of TensorFlow's CIFAR-10 tutorial, which `inference` uses too. */
export function cifar10Network() {
  return sequential([
    conv2d(32, 3),
    relu(),
    maxPool2d(2),
    conv2d(64, 3),
    relu(),
    maxPool2d(2),
    conv2d(64, 3),
    relu(),
    flatten(),
    dense(64),
    relu(),
    dense(10),
  ]);
}

export const cifar10Cnn: TrainingWorkload = {
  kind: 'training',
  name: 'cifar10-cnn',
  summary: 'three 3×3 convolutions (32, 64, 64), two max-pools, dense 64, dense 10 on 32×32×3 images',
  batches: [32, 128],
  model: cifar10Network(),
  input: { shape: [null, 32, 32, 3], dtype: 'float32' },
  parameters: 122_570,
  loss: softmaxCrossEntropy() as TrainingWorkload['loss'],
  data(key, batch) {
    const [pixels, labels] = key.split(2);
    return { input: pixels.uniform([batch, 32, 32, 3]), target: randomLabels(labels, [batch], 10) };
  },
};
