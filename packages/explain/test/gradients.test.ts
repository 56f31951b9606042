import { type Backend, createKey, fromNested, type TensorSpec, toNested } from '@tenon-ml/core';
import { dense, dropout, sequential } from '@tenon-ml/layers';
import { meanSquaredError, softmaxCrossEntropy } from '@tenon-ml/losses';
import { expectClose } from '@tenon-ml/testkit';
import { mul, sum, type Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { openExplainer } from '../src/index.js';
import { artifactOf, expectError, startedCpu } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await startedCpu();
});

const key = createKey(3);
const vectors = (size: number): TensorSpec => ({ dtype: 'float32', shape: [null, size] });

describe('gradients and losses', () => {
  const batch = {
    input: fromNested([
      [1, 2],
      [3, -1],
      [0, 1],
    ]),
    target: fromNested([[1], [2], [-1]]),
  };
  const artifact = () => artifactOf(sequential({ line: dense(1) }), vectors(2), { outputActivation: null });

  test('are those of the weighted mean', async () => {
    const explainer = await openExplainer(artifact(), backend);
    const { line } = await explainer.activations(batch.input, ['line']);
    const errors = Array.from(line.data, Number).map((value, i) => value - Number(batch.target.data[i]));
    const loss = meanSquaredError();
    const weight = fromNested([1, 0, 3]);
    const losses = await explainer.losses(batch, loss);
    expect(losses.shape).toEqual([3]);
    expectClose(
      losses,
      errors.map((error) => error ** 2),
      { op: 'loss' },
    );
    // A mean of one is the same with any weight, but 0.
    const weighted = await explainer.losses({ ...batch, weight }, loss);
    expect([...weighted.data]).toEqual([losses.data[0], 0, losses.data[2]]);
    const grads = await explainer.gradients({ ...batch, weight }, loss);
    const factors = [1, 0, 3].map((w, i) => (2 * w * errors[i]) / 4);
    const kernel = [0, 1].map((j) =>
      factors.reduce((total, f, i) => total + f * Number(batch.input.data[2 * i + j]), 0),
    );
    expect(Object.keys(grads)).toEqual(['line.kernel', 'line.bias']);
    expectClose(grads['line.kernel'].data, kernel, { op: 'network', dtype: 'float32' });
    expectClose(grads['line.bias'].data, [factors.reduce((a, b) => a + b)], {
      op: 'network',
      dtype: 'float32',
    });
    explainer.dispose();
  });

  test('gradients are also of what layers add to the loss, and losses are without it', async () => {
    const penalized = {
      spec: { layer: 'penalized', version: 1 },
      init: (_key: unknown, output: TensorSpec) => ({ params: {}, state: {}, output }),
      apply: (_params: object, state: object, x: Tensor) => ({ output: x, state, losses: [sum(mul(x, 5))] }),
    };
    const model = sequential({ line: dense(1), more: penalized as never });
    const [plain, more] = [
      await openExplainer(artifact(), backend),
      await openExplainer(artifactOf(model, vectors(2), { outputActivation: null }), backend),
    ];
    const loss = meanSquaredError();
    expect(await more.losses(batch, loss)).toEqual(await plain.losses(batch, loss));
    const [without, within] = [await plain.gradients(batch, loss), await more.gradients(batch, loss)];
    // Σ 5·(w·x + b): 5 for each example.
    const bias = Number(without['line.bias'].data[0]) + 15;
    expectClose(within['line.bias'].data, [bias], { op: 'network', dtype: 'float32' });
    plain.dispose();
    more.dispose();
  });

  test('of sequences are the mean of their places', async () => {
    const model = sequential([dense(2)]);
    const explainer = await openExplainer(
      artifactOf(model, { dtype: 'float32', shape: [null, 3, 2] }),
      backend,
    );
    const input = key.normal([2, 3, 2]);
    const labels = fromNested(
      [
        [0, 1, -1],
        [1, -1, -1],
      ],
      'int32',
    );
    const loss = softmaxCrossEntropy({ ignoreLabel: -1 });
    const losses = await explainer.losses({ input, target: labels }, loss);
    const { dense_1 } = await explainer.activations(input, ['dense_1']);
    const logits = toNested(dense_1) as number[][][];
    const at = (example: number, place: number, label: number): number =>
      Math.log(logits[example][place].reduce((total, logit) => total + Math.exp(logit), 0)) -
      logits[example][place][label];
    expectClose(losses, [(at(0, 0, 0) + at(0, 1, 1)) / 2, at(1, 0, 1)], { op: 'loss' });
    explainer.dispose();
  });

  test('check targets as training does', async () => {
    const explainer = await openExplainer(artifactOf(sequential([dense(2)]), vectors(2)), backend);
    const wrong = { input: batch.input, target: fromNested([0, 2, 1], 'int32') };
    const loss = softmaxCrossEntropy();
    await expectError(() => explainer.losses(wrong, loss), 'LABEL_OUT_OF_RANGE');
    await expectError(() => explainer.gradients(wrong, loss), 'LABEL_OUT_OF_RANGE');
    explainer.dispose();
  });

  test('are drawn from a key in training, and without one they are not', async () => {
    const model = sequential([dense(8), dropout(0.5), dense(1)]);
    const explainer = await openExplainer(artifactOf(model, vectors(2)), backend);
    const loss = meanSquaredError();
    const of = (options = {}) => explainer.gradients(batch, loss, options);
    expect(await of()).toEqual(await of());
    expect(await of({ key: createKey(1) })).toEqual(await of({ key: createKey(1) }));
    expect(await of({ key: createKey(1) })).not.toEqual(await of({ key: createKey(2) }));
    expect(await of({ key: createKey(1) })).not.toEqual(await of());
    explainer.dispose();
  });
});
