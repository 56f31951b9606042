import { rescale } from '@tenon-ml/data';
import { conv2d, dense, flatten, maxPool2d, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy } from '@tenon-ml/metrics';
import { adam } from '@tenon-ml/optimizers';
import { defineExperiment } from '@tenon-ml/train';
import { cifar10Parts } from './cifar10_data.js';

/**
 * CIFAR-10: three convolutions and a hidden layer, 122,570 parameters; the network of TensorFlow's CNN tutorial, with
 * that tutorial's optimizer and epochs.
 *
 * tests/parity/keras_cifar10.py trains the same under the same protocol in Keras.
 */
export const cifar10Cnn = defineExperiment({
  name: 'cifar10-cnn',
  description: 'CIFAR-10 (colour photographs, 32×32, 10 classes): a small convolutional network',
  options: { epochs: 10, batchSize: 32, learningRate: 1e-3, limit: 0 },
  async setup(options, context) {
    const { train, validation, test, info } = await cifar10Parts(options.limit, context);
    return {
      model: sequential([
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
      ]),
      loss: softmaxCrossEntropy(),
      optimizer: adam({ learningRate: options.learningRate }),
      metrics: [accuracy()],
      epochs: options.epochs,
      train: train.shuffle({ key: context.key.foldIn('order') }).batch(options.batchSize),
      validation: validation.batch(250),
      test: test.batch(250),
      preprocessing: [rescale({ scale: 1 / 255 })],
      classNames: info.classNames,
      // The figure that is reported. The loss also weighs how sure a network is of its mistakes, and may rise while the
      // accuracy still does.
      monitor: 'validation.accuracy',
      restoreBest: true,
      card: {
        description: 'Classifies 32×32 colour photographs (values 0 to 255) of ten kinds of things.',
        data: info.citation,
        licence: `${info.licence}: the authors of the data state none`,
      },
    };
  },
});
