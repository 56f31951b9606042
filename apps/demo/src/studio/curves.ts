import type { EpochRecord } from '@tenon-ml/train';
import type { StepPoint } from '../worker/protocol.js';

/** The curves of a run: arrays that grow in place, as the charts take them. */
export interface Curves {
  readonly step: number[];
  readonly loss: number[];
  /** The running mean of the loss, which the eye follows. */
  readonly smooth: number[];
  readonly learningRate: number[];
  epochs: readonly EpochRecord[];
}

export function emptyCurves(): Curves {
  return { step: [], loss: [], smooth: [], learningRate: [], epochs: [] };
}

/** What a step's loss counts for in the mean; at the beginning all steps count alike. */
const SHARE = 0.05;

export function addSteps(curves: Curves, steps: readonly StepPoint[]): void {
  for (const { step, loss, learningRate } of steps) {
    const count = curves.step.length;
    const share = Math.max(SHARE, 1 / (count + 1));
    const before = count === 0 ? loss : curves.smooth[count - 1];
    curves.step.push(step);
    curves.loss.push(loss);
    curves.learningRate.push(learningRate);
    curves.smooth.push(before + share * (loss - before));
  }
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
