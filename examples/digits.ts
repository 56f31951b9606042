/** What both examples train: a small network on the embedded digits. */
import { createKey } from '@tenon-ml/core';
import { rescale } from '@tenon-ml/data';
import { digits } from '@tenon-ml/data/digits';
import { conv2d, dense, dropout, flatten, maxPool2d, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { adam } from '@tenon-ml/optimizers';

export const seed = 7;
export const epochs = Number(process.env.EPOCHS ?? 3);

const zeroToOne = rescale({ scale: 1 / 16 });
const parts = await digits()
  .map((example) => ({ ...example, input: zeroToOne.apply(example.input) }))
  .split({ train: 0.8, test: 0.2 }, { key: createKey(seed).foldIn('split') });

export const train = parts.train.shuffle({ key: createKey(seed).foldIn('order') }).batch(32);
export const test = parts.test.batch(256);

export const model = sequential([
  conv2d(16, 3, { padding: 'same' }),
  relu(),
  maxPool2d(2),
  flatten(),
  dense(64),
  relu(),
  dropout(0.2),
  dense(10),
]);
export const loss = softmaxCrossEntropy();
export const optimizer = adam({ learningRate: 2e-3 });
export const input = { shape: [null, 8, 8, 1], dtype: 'float32' } as const;
