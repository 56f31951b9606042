import type { NdArray } from '@tenon-ml/core';
import type { DatasetInfo, Example } from '../dataset.js';
import { CHANNELS, countRecords, decodeRecords, IMAGE_BYTES, SIDE } from './records.js';

/** The source of CIFAR-10. Its authors state no licence: `NOASSERTION` is SPDX's word for that. */
export const cifar10Info: DatasetInfo = {
  name: 'cifar10',
  description:
    'CIFAR-10: 60000 colour photographs of 32 × 32 pixels in 10 classes, 50000 to train and 10000 to test (labelled subset of 80 million tiny images). The images were collected from the web; the authors state no licence, and ask to be cited.',
  licence: 'NOASSERTION',
  citation:
    'A. Krizhevsky (2009). Learning Multiple Layers of Features from Tiny Images. Technical report, University of Toronto. https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf',
  url: 'https://www.cs.toronto.edu/~kriz/cifar.html',
  classNames: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
};

/** What the examples of CIFAR-10 are: images uint8 [32, 32, 3] (rows, columns, red green blue), labels int32 []. */
export type Cifar10Example = Example<NdArray<'uint8'>, NdArray<'int32'>>;

/**
 * The images and labels in a file of CIFAR-10's binary version, of any number of records: `input` uint8
 * [records, 32, 32, 3], `target` int32 [records], for `fromArrays`. `file` is its name, for messages.
 *
 * A record of the file is a label byte and three planes of 32 × 32 bytes (red, green, blue); here the channels are the
 * last axis. Throws `DATA_INVALID` for a file that ends within a record and for a label above 9.
 */
export function parseCifar10(bytes: Uint8Array, file = 'cifar10'): Cifar10Example {
  const count = countRecords(bytes.length, file);
  const pixels = new Uint8Array(count * IMAGE_BYTES);
  const labels = new Int32Array(count);
  decodeRecords(bytes, file, { pixels, labels });
  return {
    input: { dtype: 'uint8', shape: [count, SIDE, SIDE, CHANNELS], data: pixels },
    target: { dtype: 'int32', shape: [count], data: labels },
  };
}
