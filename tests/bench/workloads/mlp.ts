import { dense, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { randomLabels, type TrainingWorkload } from '../workload.js';

export const mlp: TrainingWorkload = {
  kind: 'training',
  name: 'mlp',
  summary: 'dense 784-512-512-10 with relu',
  batches: [128],
  model: sequential([dense(512), relu(), dense(512), relu(), dense(10)]),
  input: { shape: [null, 784], dtype: 'float32' },
  parameters: 669_706,
  loss: softmaxCrossEntropy() as TrainingWorkload['loss'],
  data(key, batch) {
    const [pixels, labels] = key.split(2);
    return { input: pixels.uniform([batch, 784]), target: randomLabels(labels, [batch], 10) };
  },
};
