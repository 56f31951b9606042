import { wasm } from '@tenon-ml/backend-wasm';
import {
  type AnyLayer,
  createKey,
  type Loss,
  type ModelArtifact,
  type NdArray,
  ndarray,
  type TensorSpec,
} from '@tenon-ml/core';
import { characters, type Dataset, type Example, fromArrays } from '@tenon-ml/data';
import { openExplainer } from '@tenon-ml/explain';
import { conv2d, dense, embedding, flatten, relu, sequential, transformerBlock } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { afterAll, describe, expect, it } from 'vitest';
import {
  activationsOf,
  answerOf,
  attentionOf,
  featuresOf,
  filtersOf,
  gradientsOf,
  heatOf,
  neighboursOf,
  textOf,
  worstOf,
} from '../src/worker/looks.js';
import { heldExample, infoOf, rangeOf, rawInput, type Subject } from '../src/worker/subject.js';
import { expectError } from './support.js';

const backend = wasm();
const key = createKey(5);
const loss = softmaxCrossEntropy() as unknown as Loss;
const opened: Subject[] = [];
afterAll(() => {
  for (const { explainer } of opened) explainer.dispose();
});

function artifactOf(model: object, input: TensorSpec, more: Partial<ModelArtifact> = {}): ModelArtifact {
  const layer = model as AnyLayer;
  const { params, state, output } = layer.init(key, input);
  const preprocessing: ModelArtifact['preprocessing'] = [];
  return {
    layer,
    params,
    state,
    input,
    output,
    preprocessing,
    outputActivation: 'softmax',
    card: {},
    ...more,
  };
}

async function subjectOf(
  artifact: ModelArtifact,
  parts: Subject['parts'] = null,
  more: Partial<Subject> = {},
): Promise<Subject> {
  const explainer = await openExplainer(artifact, backend);
  const subject = { artifact, explainer, backend, data: null, parts, step: null, ...more };
  opened.push(subject);
  return subject;
}

function examples(inputs: NdArray, labels: readonly number[]): Dataset<Example<NdArray, NdArray>> {
  const target = ndarray('int32', [labels.length], Int32Array.from(labels));
  return fromArrays({ input: inputs, target }) as unknown as Dataset<Example<NdArray, NdArray>>;
}

/** Five pictures of 8 × 8, each with a bright row; the network is one convolution and a dense layer. */
const rows = Float32Array.from({ length: 5 * 64 }, (_, i) =>
  Math.floor((i % 64) / 8) === Math.floor(i / 64) ? 16 : 0,
);
const images = ndarray('float32', [5, 8, 8, 1], rows);
const labels = [0, 1, 2, 0, 1];
const cnn = artifactOf(
  sequential([conv2d(6, 3), relu(), flatten(), dense(3)]),
  { dtype: 'float32', shape: [null, 8, 8, 1] },
  { classNames: ['a', 'b', 'c'] },
);
const held = examples(images, labels);
const digits = await subjectOf(cnn, { train: held, held });

describe('filtersOf', () => {
  it('shows the kernels of the first convolution, by sign', () => {
    const [layer] = filtersOf(digits);
    expect([layer.path, layer.total, layer.pictures.length]).toEqual(['conv2d_1', 6, 6]);
    const { data } = (cnn.params as { conv2d_1: { kernel: NdArray } }).conv2d_1.kernel;
    for (const [f, { width, height, rgba }] of layer.pictures.entries()) {
      expect([width, height]).toEqual([3, 3]);
      for (let i = 0; i < 9; i++) {
        const value = Number(data[6 * i + f]);
        // Orange holds more red than blue, and blue the other way round.
        expect(Math.sign(rgba[4 * i] - rgba[4 * i + 2])).toBe(Math.sign(value));
      }
    }
  });

  it('shows kernels of colours in colours, and nothing where there is no convolution', async () => {
    const coloured = artifactOf(sequential([conv2d(2, 3), flatten(), dense(2)]), {
      dtype: 'float32',
      shape: [null, 4, 4, 3],
    });
    const [layer] = filtersOf(await subjectOf(coloured));
    const { data } = (coloured.params as { conv2d_1: { kernel: NdArray } }).conv2d_1.kernel;
    const most = Math.max(...Array.from({ length: 27 }, (_, i) => Math.abs(Number(data[2 * i]))));
    for (let i = 0; i < 9; i++)
      for (let c = 0; c < 3; c++) {
        const value = Number(data[(3 * i + c) * 2]);
        expect(Math.abs(layer.pictures[0].rgba[4 * i + c] - (127.5 + (127.5 * value) / most))).toBeLessThan(
          0.51,
        );
      }
    expect(
      filtersOf(await subjectOf(artifactOf(sequential([dense(2)]), { dtype: 'float32', shape: [null, 4] }))),
    ).toEqual([]);
  });
});

describe('activationsOf', () => {
  it('shows the input, and planes or rows of each layer', async () => {
    const layers = await activationsOf(digits, { example: 0 });
    expect(layers.map(({ path, shape, total }) => [path, shape.join(), total])).toEqual([
      ['input', '8,8,1', 1],
      ['conv2d_1', '6,6,6', 6],
      ['relu_1', '6,6,6', 6],
      ['flatten_1', '216', 1],
      ['dense_1', '3', 1],
    ]);
    // The bright row is ink at the top.
    const { rgba } = layers[0].pictures[0];
    expect([rgba[0], rgba[4 * 8]]).toEqual([0, 255]);
    expect(layers[3].pictures[0].width * layers[3].pictures[0].height).toBeGreaterThanOrEqual(216);
  });
});

describe('worstOf', () => {
  it('sorts by loss, with the label, what it was taken for and how sure', async () => {
    const worst = await worstOf(digits, loss, 3);
    expect(worst).toHaveLength(3);
    const { explainer } = digits;
    const logits = await explainer.predict(images);
    const all = labels.map((label, i) => {
      const row = [...logits.data.subarray(3 * i, 3 * i + 3)].map(Number);
      const total = row.reduce((sum, value) => sum + Math.exp(value), 0);
      const predicted = ['a', 'b', 'c'][row.indexOf(Math.max(...row))];
      return { label: ['a', 'b', 'c'][label], predicted, probability: Math.exp(row[label]) / total };
    });
    all.sort((a, b) => a.probability - b.probability);
    for (const [i, found] of worst.entries()) {
      expect(found).toMatchObject({ label: all[i].label, predicted: all[i].predicted });
      expect(found.probability).toBeCloseTo(all[i].probability, 5);
      expect(found.loss).toBeCloseTo(-Math.log(all[i].probability), 4);
      expect(found.picture?.width).toBe(8);
    }
  });

  it('has none without data, and of a regression', async () => {
    expect(await worstOf(await subjectOf(cnn), loss, 3)).toEqual([]);
    const regression = await subjectOf({ ...cnn, outputActivation: null }, { train: held, held });
    expect(await worstOf(regression, loss, 3)).toEqual([]);
  });
});

describe('gradientsOf', () => {
  it('counts every value of every array between its least and greatest', async () => {
    const spreads = await gradientsOf(digits, loss, 5);
    const gradients = await digits.explainer.gradients(
      { input: images, target: ndarray('int32', [5], Int32Array.from(labels)) },
      loss,
    );
    expect(spreads.map(({ path }) => path)).toEqual(Object.keys(gradients));
    for (const { path, low, high, counts, rms } of spreads) {
      const values = Array.from(gradients[path].data as Float32Array);
      expect(counts.reduce((a, b) => a + b)).toBe(values.length);
      expect(low).toBeCloseTo(Math.min(...values), 5);
      expect(high).toBeCloseTo(Math.max(...values), 5);
      expect(rms).toBeCloseTo(Math.hypot(...values) / Math.sqrt(values.length), 5);
    }
  });
});

describe('answerOf', () => {
  it('gives the shares of the classes, which sum to 1', async () => {
    const answer = await answerOf(digits, { example: 2 });
    expect(answer.scores.map(({ label }) => label)).toEqual(['a', 'b', 'c']);
    const shares = answer.scores.map(({ probability }) => probability);
    expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
    expect(answer.predicted).toBe(shares.indexOf(Math.max(...shares)));
    expect(answer.seen?.height).toBe(8);
  });

  it('gives the numbers of a regression, and the sigmoid of each of many labels', async () => {
    const line = artifactOf(sequential([dense(2)]), { dtype: 'float32', shape: [null, 2] });
    const params = {
      dense_1: {
        kernel: ndarray('float32', [2, 2], Float32Array.of(1, 0, 0, 2)),
        bias: ndarray('float32', [2], Float32Array.of(0, 1)),
      },
    };
    const regression = await subjectOf({ ...line, params, outputActivation: null });
    expect(await answerOf(regression, { features: [3, 4] })).toMatchObject({
      seen: null,
      scores: [],
      outputs: [3, 9],
    });
    const many = await subjectOf({ ...line, params, outputActivation: 'sigmoid' });
    const { scores } = await answerOf(many, { features: [0, 0] });
    expect(scores[0].probability).toBeCloseTo(0.5, 6);
    expect(scores[1].probability).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
  });
});

describe('heatOf', () => {
  it('lies over the input, by saliency pixel for pixel', async () => {
    const heat = await heatOf(digits, { example: 1 }, { method: 'saliency', target: 2 });
    expect([heat.width, heat.height]).toEqual([8, 8]);
    const { data } = await digits.explainer.saliency(ndarray('float32', [1, 8, 8, 1], rows.slice(64, 128)), {
      target: 2,
    });
    const most = Math.max(...Array.from(data, (value) => Math.abs(Number(value))));
    for (let i = 0; i < 64; i++)
      expect(Math.abs(heat.rgba[4 * i + 3] - (215 * Math.abs(Number(data[i]))) / most)).toBeLessThan(0.51);
    const cam = await heatOf(digits, { example: 1 }, { method: 'gradCam', target: 2, path: 'conv2d_1' });
    expect(cam.width).toBeGreaterThan(1);
  });
});

describe('neighboursOf', () => {
  it('finds an example itself first, and the most alike after it', async () => {
    const known = await featuresOf(digits);
    expect(known?.features.shape).toEqual([5, 216]);
    if (!known) return;
    const found = await neighboursOf(digits, known, { example: 3 }, 5);
    expect(found).toHaveLength(5);
    expect(found[0]).toMatchObject({ label: 'a', features: [] });
    expect(found[0].similarity).toBeCloseTo(1, 5);
    const similarities = found.map(({ similarity }) => similarity);
    expect(similarities).toEqual([...similarities].sort((a, b) => b - a));
    expect(await featuresOf(await subjectOf(cnn))).toBeNull();
  });
});

describe('what a model is asked with', () => {
  it('tells of images which layers Grad-CAM can look at', async () => {
    expect(await infoOf(digits, 5)).toMatchObject({
      kind: 'images',
      image: [8, 8, 1],
      drawn: true,
      classNames: ['a', 'b', 'c'],
      imageLayers: ['conv2d_1', 'relu_1'],
      gradCamLayer: 'relu_1',
      neighbours: 5,
      regression: false,
    });
    expect(rangeOf(digits)).toEqual([0, 16]);
  });

  it('counts the held examples round, and says where there is none', async () => {
    for (const number of [1, 6, -4]) {
      const { input } = await heldExample(digits, number);
      expect([...input.data]).toEqual([...rows.slice(64, 128)]);
    }
    await expectError(async () => heldExample(await subjectOf(cnn), 0), 'USAGE', 'data is not here');
  });

  it('takes a drawing as a digit, and refuses an empty one', async () => {
    const white = new Uint8ClampedArray(4 * 100).fill(255);
    await expectError(
      () => rawInput(digits, { picture: { width: 10, height: 10, rgba: white } }),
      'DATA_INVALID',
      'ink',
    );
    const inked = white.slice().fill(0, 0, 3);
    const raw = await rawInput(digits, { picture: { width: 10, height: 10, rgba: inked } });
    // One pixel of ink fills the square.
    expect([raw.shape.join(), ...new Set(raw.data as Float32Array)]).toEqual(['1,8,8,1', 16]);
  });
});

describe('of a text', async () => {
  const vocabulary = characters('abc d');
  const gpt = artifactOf(
    sequential([
      embedding(5, 8, { initializer: 'normal' }),
      transformerBlock({ heads: 2, causal: true }),
      dense(5),
    ]),
    { dtype: 'int32', shape: [null, 6] },
    { preprocessing: [vocabulary] },
  );
  const writer = await subjectOf(gpt);

  it('the attention is cut to the text, and each place looks at itself and what is before it', async () => {
    for (const [text, shown] of [
      ['ab', 'ab'],
      ['abcd abcd', 'd abcd'],
    ]) {
      const { characters: seen, layers } = await attentionOf(writer, text);
      expect(seen.join('')).toBe(shown);
      const time = shown.length;
      expect(layers).toHaveLength(1);
      const [{ heads, weights }] = layers;
      expect([heads, weights.length]).toEqual([2, 2 * time * time]);
      for (let place = 0; place < 2 * time; place++) {
        const row = [...weights.subarray(place * time, (place + 1) * time)];
        expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
        for (const later of row.slice((place % time) + 1)) expect(later).toBe(0);
      }
    }
  });

  it('it writes as much as it is asked for, the same again from the same seed', async () => {
    const request = { prompt: 'ab', length: 8, temperature: 1, topK: 0, seed: 3 };
    const write = async (more: object): Promise<string> => {
      let text = '';
      for await (const character of textOf(() => writer, { ...request, ...more })) text += character;
      return text;
    };
    const first = await write({});
    expect(first).toMatch(/^[abcd ]{8}$/);
    expect(await write({})).toBe(first);
    expect(await write({ length: 40, seed: 4 })).not.toBe(await write({ length: 40 }));
    // The likeliest of one is the likeliest.
    expect(await write({ topK: 1 })).toBe(await write({ temperature: 0 }));
  });

  it('a network of pictures writes none', async () => {
    await expectError(() => attentionOf(digits, 'ab'), 'USAGE', 'writes no text');
  });
});
