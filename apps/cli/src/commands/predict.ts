import { TenonError } from '@tenon-ml/core';
import { generateText, vocabularyOf } from '@tenon-ml/data';
import { readCsvText } from '@tenon-ml/data/node';
import { type Answer, answer } from '../answer.js';
import { type BackendFlags, startBackend } from '../backends.js';
import { decodeInputFile } from '../decode_input.js';
import { openRunModel } from '../run_model.js';
import { openRunStore } from '../run_store.js';

/** What `tenon predict` says of one file: one entry for each example in it. */
export type FilePrediction = Answer & { readonly file: string };

/** What a model that writes text has written. */
export type TextPrediction = {
  readonly file?: string;
  readonly prompt: string;
  readonly text: string;
};

export interface PredictFlags extends BackendFlags {
  readonly prompt?: string;
  readonly length?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly seed?: number;
}

/** `tenon predict RUN FILE…`; for a model that writes text, `tenon predict RUN --prompt TEXT` or a text file. */
export async function predict(
  run: string,
  files: readonly string[],
  flags: PredictFlags,
): Promise<(FilePrediction | TextPrediction)[]> {
  const { prompt, length = 200, temperature = 1, topK, seed = 0 } = flags;
  const { backend } = await startBackend(flags);
  try {
    const model = await openRunModel(await openRunStore(run), backend);
    try {
      const vocabulary = vocabularyOf(model);
      const isText = (file: string): boolean => vocabulary !== undefined && file.endsWith('.txt');
      if (!vocabulary) checkFiles(files, flags);
      const results: (FilePrediction | TextPrediction)[] = [];
      const write = async (beginning: string, file?: string): Promise<void> => {
        if (!vocabulary) return;
        const options = { prompt: beginning, length, temperature, topK, seed };
        let text = '';
        for await (const character of generateText(model, vocabulary, options)) text += character;
        results.push({ ...(file !== undefined && { file }), prompt: beginning, text });
      };
      if (prompt !== undefined || files.length === 0) await write(prompt ?? '');
      for (const file of files) {
        if (isText(file)) await write(await readCsvText(file), file);
        else {
          const input = await decodeInputFile(file, model.artifact.input);
          results.push({ file, ...(await answer(model, input)) });
        }
      }
      return results;
    } finally {
      model.dispose();
    }
  } finally {
    await backend.dispose();
  }
}

/** What a model takes that writes no text. */
function checkFiles(files: readonly string[], flags: PredictFlags): void {
  const given = (['prompt', 'length', 'temperature', 'topK', 'seed'] as const).filter(
    (name) => flags[name] !== undefined,
  );
  if (files.length > 0 && given.length === 0) return;
  throw new TenonError({
    code: 'USAGE',
    where: 'predict',
    expected: 'files of examples, .json or .csv',
    got: given.length > 0 ? `--${given[0].replace('K', '-k')}` : 'none',
    hint: 'Only a model that writes text takes a prompt and how to go on from it.',
  });
}
