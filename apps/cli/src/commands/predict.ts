import { resolve } from 'node:path';
import { type Answer, answer } from '../answer.js';
import { startBackend } from '../backends.js';
import { decodeInputFile } from '../decode_input.js';
import { openRunModel } from '../run_model.js';

/** What `tenon predict` says of one file: one entry for each example in it. */
export type FilePrediction = Answer & { readonly file: string };

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
      results.push({ file, ...(await answer(model, input)) });
    }
    model.dispose();
    return results;
  } finally {
    await backend.dispose();
  }
}
