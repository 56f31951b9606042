import type { InferenceWorkload } from '../workload.js';
import { cifar10Network } from './cifar10-cnn.js';

export const inference: InferenceWorkload = {
  kind: 'inference',
  name: 'inference',
  summary: "the CIFAR-10 CNN's logits",
  batches: [1, 256],
  model: cifar10Network(),
  input: { shape: [null, 32, 32, 3], dtype: 'float32' },
  data: (key, batch) => key.uniform([batch, 32, 32, 3]),
};
