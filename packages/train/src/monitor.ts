import { type Metric, TenonError, unknownName } from '@tenon-ml/core';
import type { BestEpoch, EpochRecord, Figures } from './events.js';

/** Ends training when the monitored figure hasn't improved for `patience` epochs. */
export interface EarlyStopping {
  /** At least 1: training ends after so many epochs in a row that were no better than the best before them. */
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
  const { name } = partsOf(chosen);
  const direction = name === 'loss' ? 'minimize' : metrics.find((metric) => metric.name === name)?.direction;
  if (direction) return { figure: chosen, direction };
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'monitor',
    message: `the metric '${name}' doesn't say whether more or less of it is better`,
    hint: 'Monitor another figure.',
  });
}

/**
 * The best epoch so far with one more: that one if its figure beats the best by more than `minDelta`. A figure that is
 * missing, null (a metric that saw nothing to compute it from) or not finite beats nothing. Throws `INVALID_ARGUMENT`
 * where the figure is not one number.
 */
export function better(
  monitor: Monitor,
  best: BestEpoch | undefined,
  record: Pick<EpochRecord, 'epoch' | 'train' | 'validation'>,
  minDelta = 0,
): BestEpoch | undefined {
  const value = monitored(monitor, record);
  if (value === undefined || !Number.isFinite(value)) return best;
  const gain = best && (monitor.direction === 'maximize' ? value - best.value : best.value - value);
  if (gain !== undefined && !(gain > minDelta)) return best;
  return { epoch: record.epoch, monitor: monitor.figure, value };
}

/** The best of some epochs, in their order. */
export function bestOf(
  monitor: Monitor,
  history: readonly EpochRecord[],
  minDelta?: number,
): BestEpoch | undefined {
  return history.reduce<BestEpoch | undefined>(
    (best, record) => better(monitor, best, record, minDelta),
    undefined,
  );
}

/** Whether the monitored figure has not improved for the patience that was given; `epoch` is the one to come. */
export function isStale(
  earlyStopping: EarlyStopping | undefined,
  { epoch, best }: { readonly epoch: number; readonly best?: BestEpoch },
): boolean {
  return (
    earlyStopping !== undefined && epoch > 0 && epoch - 1 - (best?.epoch ?? -1) >= earlyStopping.patience
  );
}

function monitored(
  { figure }: Monitor,
  figures: { readonly train: Figures; readonly validation?: Figures },
): number | undefined {
  const { part, name } = partsOf(figure);
  const value = figures[part]?.[name];
  if (typeof value === 'number') return value;
  if (value === undefined || value === null) return undefined;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'monitor',
    expected: `a number as ${figure}`,
    got: JSON.stringify(value),
    hint: 'Monitor a figure that is one number.',
  });
}

/** A metric's name may hold dots, a part's doesn't. */
function partsOf(figure: string): { readonly part: 'train' | 'validation'; readonly name: string } {
  const dot = figure.indexOf('.');
  return { part: figure.slice(0, dot) as 'train' | 'validation', name: figure.slice(dot + 1) };
}
