import { join, resolve } from 'node:path';
import { TenonError } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { evaluateModel, type Figures, readRun, setUpRun } from '@tenon-ml/train';
import { startBackend } from '../backends.js';
import { findOrigin } from '../experiments.js';
import type { Output } from '../output.js';
import { openRunModel } from '../run_model.js';

/** `tenon evaluate RUN`: the saved model's figures on the run's test data. */
export async function evaluate(
  run: string,
  flags: { readonly backend?: string },
  output: Output,
): Promise<{ run: string; test: Figures }> {
  const folder = resolve(run);
  const store = folderStore(folder);
  const description = await readRun(store);
  const { experiment } = await findOrigin(description.origin, join(folder, 'run.json'));
  const { backend } = await startBackend(flags.backend ?? description.backend);
  try {
    const plan = await setUpRun(experiment, description, { note: output.note });
    if (!plan.test) {
      throw new TenonError({
        code: 'USAGE',
        where: experiment.name,
        message: 'this experiment has no test data',
        hint: 'Give its plan a dataset as `test`.',
      });
    }
    const model = await openRunModel(folder, backend);
    try {
      const { loss, metrics } = plan;
      return {
        run: folder,
        test: await evaluateModel(model.artifact, plan.test, { loss, metrics, backend }),
      };
    } finally {
      model.dispose();
    }
  } finally {
    await backend.dispose();
  }
}
