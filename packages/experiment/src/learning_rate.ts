import { type ArtifactStore, isTenonError, readJson, TenonError, writeJson } from '@tenon-ml/core';
import { adjustLearningRate } from '@tenon-ml/optimizers';
import { type AnyPlan, readLatestCheckpoint, updatesMade } from '@tenon-ml/train';

/** From the update of number `step` on (0 is the first) the rate is multiplied by `factor`. */
export interface RateChange {
  readonly step: number;
  readonly factor: number;
}

/** A learning rate that is changed while a run goes on. */
export interface LearningRateControl {
  /** By step. */
  readonly changes: readonly RateChange[];
  /** What the rate of an update is multiplied by: a function of its number alone; 1 before the first change. */
  factor(step: number): number;
  /**
   * Multiplies the schedule's rate by a factor from the next update on, in the place of earlier factors, and returns its
   * number. (Without loss scaling every step is an update. Right behind one that was skipped it is the second update from
   * there: the next has asked for its rate already.) It takes effect at once; the file is written when the promise resolves. Who waits for that before the run's next
   * event can be killed at any moment. Throws `INVALID_ARGUMENT` for a factor that is no finite number of at least 0.
   */
  set(factor: number): Promise<number>;
  /** For `runExperiment`'s `adjust`: the plan with its optimizer's rate under this control. */
  adjust(plan: AnyPlan): AnyPlan;
}

const path = 'learning-rate.json';

/**
 * The learning rate of a run as something that can be changed: `runExperiment(experiment, { store, adjust: rate.adjust })`,
 * then `rate.set(0.5)` at any time. Changes are kept in the run's folder, in `learning-rate.json`, so that a run that is
 * killed and resumed, here or by `tenon resume`, ends with the bits of one that never stopped.
 *
 * Throws `ARTIFACT_INVALID` for a file that holds something else.
 */
export async function learningRateControl(store: ArtifactStore): Promise<LearningRateControl> {
  let changes = await readChanges(store);
  // The update that was asked for last: a change counts from the one behind it. A resume goes on from the newest checkpoint.
  let asked = (await storedUpdates(store)) - 1;
  let writing: Promise<void> = Promise.resolve();
  const factor = (step: number): number => changes.findLast((change) => change.step <= step)?.factor ?? 1;
  return {
    get changes() {
      return changes;
    },
    factor,
    async set(value) {
      if (!isFactor(value)) {
        throw new TenonError({
          code: 'INVALID_ARGUMENT',
          where: 'learning rate',
          expected: 'a finite factor of at least 0',
          got: String(value),
        });
      }
      const step = asked + 1;
      // What a run has gone back behind, by a resume, doesn't come after what is set now.
      changes = [...changes.filter((change) => change.step < step), { step, factor: value }];
      const written = changes;
      writing = writing.catch(() => {}).then(() => writeJson(store, path, written));
      await writing;
      return step;
    },
    adjust: (plan) => ({
      ...plan,
      optimizer: adjustLearningRate(plan.optimizer, (step) => {
        asked = step;
        return factor(step);
      }),
    }),
  };
}

/** The updates that the newest checkpoint holds; 0 without one. */
async function storedUpdates(store: ArtifactStore): Promise<number> {
  const newest = await readLatestCheckpoint(store);
  return newest ? updatesMade(newest.position) : 0;
}

async function readChanges(store: ArtifactStore): Promise<readonly RateChange[]> {
  let value: unknown;
  try {
    value = await readJson(store, path);
  } catch (error) {
    if (isTenonError(error) && error.code === 'NOT_FOUND') return [];
    throw error;
  }
  if (Array.isArray(value) && value.every(isChange)) return [...value].sort((a, b) => a.step - b.step);
  throw new TenonError({
    code: 'ARTIFACT_INVALID',
    where: `${store.location}/${path}`,
    expected: 'a list such as [{ "step": 100, "factor": 0.5 }]',
    got: (JSON.stringify(value) ?? '').slice(0, 80),
  });
}

function isChange(value: unknown): value is RateChange {
  const { step, factor } = (value ?? {}) as Partial<RateChange>;
  return Number.isInteger(step) && Number(step) >= 0 && isFactor(factor);
}

function isFactor(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
