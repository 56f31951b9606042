import { type Metric, TenonError, unknownName } from '@tenon-ml/core';
import type { BestEpoch, Figures } from './events.js';

/** Ends training when the monitored figure hasn't improved for `patience` epochs. */
export interface EarlyStopping {
  readonly patience: number;
  /** By how much it has to improve to count; 0 by default. */
  readonly minDelta?: number;
}

/** Which figure decides, and which way is better. */
export interface Monitor {
  /** 'validation.accuracy', 'train.loss'. */
  readonly figure: string;
  readonly direction: 'maximize' | 'minimize';
}

/**
 * The monitor of a run: the figure that was asked for, or the validation's loss, or without validation the training's.
 * The loss is minimised; a metric says itself which way is better. Throws `UNKNOWN_NAME` for a figure that there won't
 * be, `INVALID_ARGUMENT` for one without a direction.
 */
export function resolveMonitor(
  figure: string | undefined,
  metrics: readonly Metric[],
  validates: boolean,
): Monitor {
  const parts = validates ? ['validation', 'train'] : ['train'];
  const chosen = figure ?? `${parts[0]}.loss`;
  const known = parts.flatMap((part) =>
    ['loss', ...metrics.map(({ name }) => name)].map((name) => `${part}.${name}`),
  );
  if (!known.includes(chosen)) throw unknownName('figure', chosen, known, 'monitor');
  const name = chosen.slice(chosen.indexOf('.') + 1);
  const direction = name === 'loss' ? 'minimize' : metrics.find((metric) => metric.name === name)?.direction;
  if (direction) return { figure: chosen, direction };
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'monitor',
    message: `the metric '${name}' doesn't say whether more or less of it is better`,
    hint: 'Monitor another figure.',
  });
}

/** The monitored figure's value. Throws `INVALID_ARGUMENT` where it isn't a number. */
export function monitored(
  monitor: Monitor,
  figures: { readonly train: Figures; readonly validation?: Figures },
): number {
  const dot = monitor.figure.indexOf('.');
  const part = figures[monitor.figure.slice(0, dot) as 'train' | 'validation'];
  const value = part?.[monitor.figure.slice(dot + 1)];
  if (typeof value === 'number') return value;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'monitor',
    expected: `a number as ${monitor.figure}`,
    got: JSON.stringify(value) ?? 'nothing',
    hint: 'Monitor a figure that is one number.',
  });
}

/** Whether `value` beats the best so far by more than `minDelta`. */
export function improves(
  monitor: Monitor,
  value: number,
  best: BestEpoch | undefined,
  minDelta = 0,
): boolean {
  if (Number.isNaN(value)) return false;
  if (!best) return true;
  return monitor.direction === 'maximize' ? value > best.value + minDelta : value < best.value - minDelta;
}
