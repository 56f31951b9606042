import {
  type ArtifactStore,
  type Backend,
  createRegistry,
  hasModel,
  loadModel,
  type Model,
  type Registry,
  TenonError,
} from '@tenon-ml/core';
import { transforms } from '@tenon-ml/data';
import { layers } from '@tenon-ml/layers/all';
import { readRun } from '@tenon-ml/train';
import { findOrigin } from './experiments.js';

/** The model that a run saved, or that a folder or a zip holds by itself. */
export async function openRunModel(store: ArtifactStore, backend: Backend): Promise<Model> {
  if (!(await hasModel(store))) {
    throw new TenonError({
      code: 'NOT_FOUND',
      where: store.location,
      message: 'there is no saved model here (model.json)',
      hint: 'A run saves its model when it ends: `tenon resume` goes on with one that was killed.',
    });
  }
  const own = await ownRegistry(store);
  return loadModel(store, { registry: createRegistry(layers, transforms, ...own), backend });
}

/** What the run's experiment brings along; nothing for a model that came without its run. */
async function ownRegistry(store: ArtifactStore): Promise<Registry[]> {
  if ((await store.list('run.json')).length === 0) return [];
  const { origin } = await readRun(store);
  const { file } = (origin ?? {}) as { file?: string };
  if (!file) return [];
  const { experiment } = await findOrigin(origin, `${store.location}/run.json`, { store });
  return experiment.registry ? [experiment.registry] : [];
}
