import type { EpochRecord } from '@tenon-ml/train';
import type { StepPoint } from '../worker/protocol.js';

/** The curves of a run: arrays that grow in place, as the charts take them. */
export interface Curves {
  readonly step: number[];
  readonly loss: number[];
  /** The running mean of the loss over all steps, which the eye follows. */
  readonly smooth: number[];
  readonly learningRate: number[];
  epochs: readonly EpochRecord[];
  /** The steps whose numbers this divides are kept: a long run has no more points than a short one. */
  stride: number;
  /** How many steps came, and their running mean. */
  seen: { readonly count: number; readonly mean: number };
}

export function emptyCurves(): Curves {
  return {
    step: [],
    loss: [],
    smooth: [],
    learningRate: [],
    epochs: [],
    stride: 1,
    seen: { count: 0, mean: 0 },
  };
}

/** What a step's loss counts for in the mean; at the beginning all steps count alike. */
const SHARE = 0.05;
/** More points than a screen has columns; at twice as many every other one goes. */
const POINTS = 2000;

export function addSteps(curves: Curves, steps: readonly StepPoint[]): void {
  for (const { step, loss, learningRate } of steps) {
    const { count, mean: before } = curves.seen;
    const share = Math.max(SHARE, 1 / (count + 1));
    const mean = count === 0 ? loss : before + share * (loss - before);
    curves.seen = { count: count + 1, mean };
    // The first stands for where the run began, or went on.
    if (step % curves.stride !== 0 && curves.step.length > 0) continue;
    curves.step.push(step);
    curves.loss.push(loss);
    curves.learningRate.push(learningRate);
    curves.smooth.push(mean);
  }
  while (curves.step.length > 2 * POINTS) thin(curves);
}

/** Keeps the first point, and those of every second step that was kept. */
function thin(curves: Curves): void {
  curves.stride *= 2;
  const { step, stride } = { step: [...curves.step], stride: curves.stride };
  for (const list of [curves.step, curves.loss, curves.smooth, curves.learningRate]) {
    const kept = list.filter((_, i) => i === 0 || step[i] % stride === 0);
    list.splice(0, list.length, ...kept);
  }
}

export function clearCurves(curves: Curves): void {
  for (const list of [curves.step, curves.loss, curves.smooth, curves.learningRate]) list.length = 0;
  Object.assign(curves, { epochs: [], stride: 1, seen: { count: 0, mean: 0 } });
}

/** A figure of each epoch, at the step where it ended: 'validation', 'accuracy'. */
export function epochCurve(
  epochs: readonly EpochRecord[],
  part: 'train' | 'validation',
  figure: string,
): { x: number[]; y: (number | null)[] } {
  const told = epochs.filter((epoch) => epoch[part] !== undefined);
  return {
    x: told.map(({ step }) => step),
    y: told.map((epoch) => {
      const value = epoch[part]?.[figure];
      return typeof value === 'number' && Number.isFinite(value) ? value : null;
    }),
  };
}
