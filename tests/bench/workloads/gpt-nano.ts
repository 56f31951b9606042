import {
  dense,
  embedding,
  layerNorm,
  positionEmbedding,
  sequential,
  transformerBlock,
} from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { randomLabels, type TrainingWorkload } from '../workload.js';

const [heads, width, context, vocabulary] = [4, 128, 128, 65];
const block = () => transformerBlock({ heads, causal: true });

export const gptNano: TrainingWorkload = {
  kind: 'training',
  name: 'gpt-nano',
  summary: 'a language model: 4 pre-norm blocks of 4 heads, width 128, 128 characters out of 65',
  batches: [16],
  model: sequential({
    tokens: embedding(vocabulary, width),
    positions: positionEmbedding(context),
    block1: block(),
    block2: block(),
    block3: block(),
    block4: block(),
    norm: layerNorm(),
    head: dense(vocabulary),
  }),
  input: { shape: [null, context], dtype: 'int32' },
  parameters: 826_433,
  loss: softmaxCrossEntropy() as TrainingWorkload['loss'],
  data(key, batch) {
    const [text, next] = key.split(2);
    return {
      input: randomLabels(text, [batch, context], vocabulary),
      target: randomLabels(next, [batch, context], vocabulary),
    };
  },
};
