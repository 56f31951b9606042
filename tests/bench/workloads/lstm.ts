import { dense, lstm, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { randomLabels, type TrainingWorkload } from '../workload.js';

const [steps, features, units] = [64, 64, 128];

export const lstmClassifier: TrainingWorkload = {
  kind: 'training',
  name: 'lstm',
  summary: 'an LSTM of 128 units over 64 steps of 64 features, and dense 10 on its last output',
  batches: [32],
  model: sequential([lstm(units), dense(10)]),
  input: { shape: [null, steps, features], dtype: 'float32' },
  parameters: 100_106,
  loss: softmaxCrossEntropy() as TrainingWorkload['loss'],
  data(key, batch) {
    const [values, labels] = key.split(2);
    return { input: values.normal([batch, steps, features]), target: randomLabels(labels, [batch], 10) };
  },
};
