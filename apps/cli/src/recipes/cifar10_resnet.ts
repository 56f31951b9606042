import { augment, fitTransform, normalize, randomCrop, randomFlip } from '@tenon-ml/data';
import { batchNorm, conv2d, dense, globalAvgPool2d, relu, resnetBlock, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy } from '@tenon-ml/metrics';
import { cosineDecay, sgd } from '@tenon-ml/optimizers';
import { defineExperiment } from '@tenon-ml/train';
import { cifar10Parts } from './cifar10_data.js';

/**
 * CIFAR-10: a residual network of three blocks (16, 32 and 64 channels; 8 layers with weights) on images that are shifted
 * and mirrored at random, as in He and others, "Deep residual learning for image recognition" (CVPR 2016, section 4.2), whose
 * networks there have three, five and more blocks a width.
 */
export const cifar10Resnet = defineExperiment({
  name: 'cifar10-resnet',
  description: 'CIFAR-10: a small residual network, with random crops and flips',
  options: { epochs: 30, batchSize: 128, learningRate: 0.1, weightDecay: 5e-4, limit: 0 },
  async setup(options, context) {
    const { key } = context;
    const { train, validation, test, info } = await cifar10Parts(options.limit, context);
    const batches = train
      .shuffle({ key: key.foldIn('order') })
      .batch(options.batchSize)
      .map(augment(randomCrop({ padding: 4 }), randomFlip()), { key: key.foldIn('augment') });
    const steps = Math.max(1, options.epochs * Number(batches.length));
    return {
      model: sequential([
        conv2d(16, 3, { padding: 'same', bias: false, kernelInitializer: 'heNormal' }),
        batchNorm(),
        relu(),
        resnetBlock(16),
        resnetBlock(32, { strides: 2 }),
        resnetBlock(64, { strides: 2 }),
        globalAvgPool2d(),
        dense(10),
      ]),
      loss: softmaxCrossEntropy(),
      optimizer: sgd({
        learningRate: cosineDecay({
          peak: options.learningRate,
          steps,
          warmup: Math.floor(steps / 20),
        }),
        momentum: 0.9,
        weightDecay: options.weightDecay,
      }),
      metrics: [accuracy()],
      epochs: options.epochs,
      train: batches,
      validation: validation.batch(250),
      test: test.batch(250),
      // Each channel by itself, fitted on the training part alone; the zeros around a shifted image are black then.
      preprocessing: [await fitTransform(normalize(), train)],
      classNames: info.classNames,
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
