import { type Classification, type NdArray, reshaped, sizeOf } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { readRun, setUpRun } from '@tenon-ml/train';
import { type BackendFlags, startBackend } from '../backends.js';
import { findOrigin } from '../experiments.js';
import type { Output } from '../output.js';
import { openRunModel } from '../run_model.js';
import { printTrained, show, train } from './train.js';

/**
 * `tenon quickstart`: trains on the embedded digits, then loads what was saved and predicts one test image. Returns the
 * exit code.
 */
export async function quickstart(
  flags: BackendFlags & { readonly seed: number },
  output: Output,
): Promise<number> {
  const result = await train('digits-cnn', { ...flags, set: [] }, output);
  if (result.exitCode !== 0) return printTrained(result, output);
  const { image, label, prediction } = await predictSample(result.run, flags);
  const { test } = result.report;
  const run = show(result.run);
  const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
  output.result(
    {
      test,
      run: result.run,
      sample: { label, predicted: prediction.label, probability: prediction.probability },
    },
    [
      '',
      `Test accuracy ${percent(Number(test?.accuracy))}, on images that training and selection never saw.`,
      '',
      'One of them:',
      ...drawn(image),
      `is a ${label}; the model says ${prediction.label} (${percent(prediction.probability)}).`,
      '',
      `The run is in ${run}`,
      'What next?',
      '  npm run tenon -- evaluate RUN    the same figures again, from the saved model',
      '  npm run tenon -- serve RUN       predictions over HTTP',
      '  npm run tenon -- recipes         what else there is to train',
    ].join('\n'),
  );
  return 0;
}

async function predictSample(
  folder: string,
  flags: BackendFlags,
): Promise<{ image: NdArray; label: string; prediction: Classification }> {
  const store = folderStore(folder);
  const description = await readRun(store);
  const { experiment } = await findOrigin(description.origin, `${folder}/run.json`, { store });
  const { test, classNames = [] } = await setUpRun(experiment, description);
  if (!test) throw new Error('The digits recipe has test data.');
  const { backend } = await startBackend(flags);
  try {
    const model = await openRunModel(store, backend);
    for await (const { input, target } of test) {
      const images = input as NdArray;
      const shape = [1, ...images.shape.slice(1)];
      const image = { ...images, shape, data: images.data.subarray(0, sizeOf(shape)) } as NdArray;
      const [prediction] = await model.classify(image);
      model.dispose();
      return { image, label: classNames[Number((target as NdArray).data[0])], prediction };
    }
    throw new Error('The test data is empty.');
  } finally {
    await backend.dispose();
  }
}

/** A grey image [1, height, width, 1] in characters, two a pixel since they are narrow. */
function drawn(image: NdArray): string[] {
  const [, height, width] = image.shape;
  const { data } = reshaped(image, [height * width]);
  const shades = [' ', '░', '▒', '▓', '█'];
  const largest = Math.max(...Array.from(data as Uint8Array));
  const pixel = (at: number): string =>
    shades[Math.round((Number(data[at]) / largest) * (shades.length - 1))].repeat(2);
  return Array.from({ length: height }, (_, row) =>
    `  ${Array.from({ length: width }, (_, column) => pixel(row * width + column)).join('')}`.trimEnd(),
  );
}
