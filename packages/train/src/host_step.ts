import { createKey, type Downloaded, type Json, read, scalars } from '@tenon-ml/core';
import { type Position, updatesMade } from './checkpoint.js';
import { diagnose } from './diagnosis.js';
import { type Batch, countExamples, type Preparation, prepareBatch } from './evaluate.js';
import type { StepEvent } from './events.js';
import { canSkip, type LossScalingSpec, nextLossScale, scaleFactors } from './loss_scaling.js';
import type { Network } from './network.js';
import type { compileTrainStep, Seen, StepParts } from './step.js';

/** What steps are made with, from the first to the last. */
export interface StepMaker {
  readonly parts: StepParts;
  readonly trainStep: ReturnType<typeof compileTrainStep>;
  readonly lossScaling: LossScalingSpec;
  readonly seed: number;
}

/** A step that was made or skipped. */
export interface MadeStep {
  /** The position behind it, what was seen left aside. */
  readonly position: Position;
  readonly seen: Downloaded<Seen>;
  readonly event: Omit<StepEvent, 'type' | 'step' | 'epoch'>;
}

/**
 * One step on a batch, around the compiled one: what changes from step to step goes in, the verdict is read. The network is
 * moved on; `data` is the position of the data behind this batch. Throws `NOT_FINITE` for a step that isn't to be skipped,
 * with the network as it was.
 */
export async function makeStep(
  { parts, trainStep, lossScaling, seed }: StepMaker,
  network: Network,
  preparation: Preparation,
  position: Position,
  batch: Batch,
  data: Json,
): Promise<MadeStep> {
  const { step, epoch, lossScale } = position;
  const where = `step ${step + 1} (epoch ${epoch + 1})`;
  const examples = countExamples(batch, where);
  const prepared = prepareBatch(batch, preparation, where);
  const rates = { ...parts.optimizer.scalars(updatesMade(position)) };
  const control = {
    scalars: scalars(rates),
    key: createKey(seed).foldIn('step').foldIn(step).toNdArray(),
    ...(lossScale && { lossScale: scaleFactors(lossScale) }),
  };
  const { carry, seen } = trainStep(network.carry, prepared, control);
  network.carry = carry;
  const host = await read(seen);
  const loss = Number(host.loss.data[0]);
  const skipped = host.halted.data[0] !== 0;
  if (skipped) {
    network.clearHalt();
    if (!lossScale || !Number.isFinite(loss) || !canSkip(lossScaling, lossScale)) {
      const halted = { loss, lossScale: lossScale?.scale };
      throw await diagnose(parts, network.carry, prepared, control, halted, where);
    }
  }
  return {
    position: {
      ...position,
      step: step + 1,
      data,
      ...(lossScale && { lossScale: nextLossScale(lossScaling, lossScale, skipped) }),
    },
    seen: host,
    event: { loss, examples, scalars: rates, ...(lossScale && { lossScale: lossScale.scale, skipped }) },
  };
}
