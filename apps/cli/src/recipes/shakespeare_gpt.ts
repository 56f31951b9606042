import { rows, TenonError } from '@tenon-ml/core';
import { characters, codePoints, textWindows } from '@tenon-ml/data';
import {
  dense,
  embedding,
  type Initializer,
  layerNorm,
  positionEmbedding,
  sequential,
  transformerBlock,
} from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy } from '@tenon-ml/metrics';
import { adamw, chain, clipByGlobalNorm, cosineDecay } from '@tenon-ml/optimizers';
import { defineExperiment } from '@tenon-ml/train';
import { readPlays } from './shakespeare_data.js';

const normal = (standardDeviation: number): Initializer => ({ initializer: 'normal', standardDeviation });

/**
 * A small GPT on characters of Shakespeare's plays, with the sizes and the schedule that nanoGPT gives for a CPU (4 layers,
 * 4 heads, width 128, context 64, batches of 12, 2,000 steps) and GPT-2's initial values.
 *
 * The loss is in nats a character. The text is cut into 90 % to train, 5 % to choose the epoch and 5 % to test; each
 * evaluation sees 256 windows that lie evenly over its part, so that it stays short beside the training.
 */
export const shakespeareGpt = defineExperiment({
  name: 'shakespeare-gpt',
  description: "Shakespeare's plays, character by character: a small transformer that writes text",
  options: {
    epochs: 10,
    stepsPerEpoch: 200,
    batchSize: 12,
    context: 64,
    layers: 4,
    heads: 4,
    width: 128,
    dropout: 0,
    learningRate: 1e-3,
  },
  async setup(options, context) {
    const { epochs, stepsPerEpoch, batchSize, layers, heads, width, dropout, learningRate } = options;
    const text = await readPlays(context);
    const vocabulary = characters(text);
    const size = vocabulary.names.length;
    const points = codePoints(text);
    const [length] = points.shape;
    const [first, second] = [Math.floor(0.9 * length), Math.floor(0.95 * length)];
    if (second - first <= options.context) {
      throw new TenonError({
        code: 'DATA_INVALID',
        where: context.data ?? 'the text',
        expected: `a text whose twentieth part is longer than the context of ${options.context} characters`,
        got: `${length} characters`,
        hint: 'Give a longer text, or a smaller context: --set context=16.',
      });
    }
    const held = (begin: number, end: number) => {
      const stride = Math.max(options.context, Math.floor((end - begin) / 256));
      return textWindows(rows(points, begin, end), { vocabulary, context: options.context, stride })
        .take(256)
        .batch(64);
    };
    const train = textWindows(rows(points, 0, first), { vocabulary, context: options.context })
      .shuffle({ key: context.key.foldIn('windows') })
      .take(stepsPerEpoch * batchSize)
      .batch(batchSize);
    const steps = Math.max(1, epochs * Number(train.length));
    const block = () =>
      transformerBlock({
        heads,
        causal: true,
        dropout,
        kernelInitializer: normal(0.02),
        // GPT-2: what is added to the residual stream starts small, the more of it the smaller.
        outputInitializer: normal(0.02 / Math.sqrt(2 * layers)),
      });
    return {
      model: sequential({
        tokens: embedding(size, width, { initializer: normal(0.02) }),
        positions: positionEmbedding(options.context, { initializer: normal(0.02) }),
        blocks: sequential(Array.from({ length: layers }, block)),
        norm: layerNorm(),
        logits: dense(size, { bias: false, kernelInitializer: normal(0.02) }),
      }),
      loss: softmaxCrossEntropy(),
      optimizer: chain(
        clipByGlobalNorm(1),
        adamw({
          learningRate: cosineDecay({
            peak: learningRate,
            steps,
            warmup: Math.min(100, Math.floor(steps / 10)),
            end: learningRate / 10,
          }),
          beta2: 0.99,
          weightDecay: 0.1,
          mask: (_path, shape) => shape.length > 1,
        }),
      ),
      metrics: [accuracy()],
      epochs,
      input: { shape: [null, options.context], dtype: 'int32' },
      train,
      validation: held(first, second),
      test: held(second, length),
      preprocessing: [vocabulary],
      classNames: vocabulary.names,
      monitor: 'validation.loss',
      restoreBest: true,
      card: {
        description: `Says which character comes next in Shakespeare's plays, after up to ${options.context} of them.`,
        data: context.data ?? "W. Shakespeare's plays, 'tiny shakespeare' of A. Karpathy's char-rnn",
        licence: 'public domain',
      },
    };
  },
});
