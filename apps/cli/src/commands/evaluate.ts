import { resolve } from 'node:path';
import { TenonError } from '@tenon-ml/core';
import { evaluateModel, type Figures, readRun, setUpRun } from '@tenon-ml/train';
import { type BackendFlags, startBackend } from '../backends.js';
import { findOrigin } from '../experiments.js';
import type { Output } from '../output.js';
import { openRunModel } from '../run_model.js';
import { isZip, openRunStore } from '../run_store.js';

/**
 * `tenon evaluate RUN`: the saved model's figures on the run's test data. RUN is a folder, on the backend that it
 * was trained on; or a zip of one, which may come from another machine, on any. `--data` says where the data is now.
 */
export async function evaluate(
  run: string,
  flags: BackendFlags & { readonly data?: string },
  output: Output,
): Promise<{ run: string; test: Figures }> {
  const store = await openRunStore(run);
  const own = await readRun(store);
  const description = flags.data === undefined ? own : { ...own, data: resolve(flags.data) };
  const { experiment } = await findOrigin(description.origin, `${store.location}/run.json`, {
    store,
    data: description.data,
  });
  const { backend } = await startBackend(flags, isZip(run) ? 'auto' : description.backend);
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
    const model = await openRunModel(store, backend);
    try {
      const { loss, metrics } = plan;
      return {
        run: store.location,
        test: await evaluateModel(model.artifact, plan.test, { loss, metrics, backend }),
      };
    } finally {
      model.dispose();
    }
  } finally {
    await backend.dispose();
  }
}
