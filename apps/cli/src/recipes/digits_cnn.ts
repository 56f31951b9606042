import { fitTransform, normalize } from '@tenon-ml/data';
import { digits, digitsInfo } from '@tenon-ml/data/digits';
import { conv2d, dense, dropout, flatten, maxPool2d, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy } from '@tenon-ml/metrics';
import { adam, cosineDecay } from '@tenon-ml/optimizers';
import { defineExperiment } from '@tenon-ml/train';

/** Handwritten digits, 8×8: a small convolutional network on the data set that the package embeds. */
export const digitsCnn = defineExperiment({
  name: 'digits-cnn',
  description: 'Handwritten digits (UCI, 8×8, embedded): a small convolutional network',
  options: { epochs: 15, batchSize: 32, learningRate: 2e-3, dropout: 0.25 },
  async setup(options, { key }) {
    const { train, validation, test } = await digits().split(
      { train: 0.7, validation: 0.15, test: 0.15 },
      { key: key.foldIn('split'), stratify: (example) => example.target },
    );
    const batches = train.shuffle({ key: key.foldIn('order') }).batch(options.batchSize);
    const steps = options.epochs * Number(batches.length);
    return {
      model: sequential([
        conv2d(32, 3, { padding: 'same' }),
        relu(),
        maxPool2d(2),
        conv2d(64, 3, { padding: 'same' }),
        relu(),
        maxPool2d(2),
        flatten(),
        dense(128),
        relu(),
        dropout(options.dropout),
        dense(10),
      ]),
      loss: softmaxCrossEntropy(),
      optimizer: adam({
        learningRate: cosineDecay({ peak: options.learningRate, steps: Math.max(1, steps) }),
      }),
      metrics: [accuracy()],
      epochs: options.epochs,
      train: batches,
      validation: validation.batch(256),
      test: test.batch(256),
      // Fitted on the training part alone, and saved with the model.
      preprocessing: [await fitTransform(normalize(), train)],
      classNames: digitsInfo.classNames,
      monitor: 'validation.loss',
      restoreBest: true,
      card: {
        description: 'Classifies 8×8 images of handwritten digits (values 0 to 16).',
        data: digitsInfo.citation,
        licence: digitsInfo.licence,
      },
    };
  },
});
