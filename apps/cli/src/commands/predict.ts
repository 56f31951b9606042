import { resolve } from 'node:path';
import { type Classification, type Json, toNested } from '@tenon-ml/core';
import { startBackend } from '../backends.js';
import { decodeInputFile } from '../decode_input.js';
import { openRunModel } from '../run_model.js';

/** What `tenon predict` says of one file: one entry for each example in it. */
export interface FilePrediction {
  readonly file: string;
  readonly predictions?: readonly Classification[];
  /** For models whose outputs aren't class logits. */
  readonly outputs?: Json;
}

/** `tenon predict RUN FILE…` */
export async function predict(
  run: string,
  files: readonly string[],
  flags: { readonly backend: string },
): Promise<FilePrediction[]> {
  const { backend } = await startBackend(flags.backend);
  try {
    const model = await openRunModel(resolve(run), backend);
    const results: FilePrediction[] = [];
    for (const file of files) {
      const input = await decodeInputFile(file, model.artifact.input);
      if (model.artifact.outputActivation) results.push({ file, predictions: await model.classify(input) });
      else results.push({ file, outputs: nested(await model.predict(input)) });
    }
    model.dispose();
    return results;
  } finally {
    await backend.dispose();
  }
}

function nested(output: Awaited<ReturnType<Awaited<ReturnType<typeof openRunModel>>['predict']>>): Json {
  return toNested(output as Parameters<typeof toNested>[0]) as Json;
}
