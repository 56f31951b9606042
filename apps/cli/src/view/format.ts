import type { Figures } from '@tenon-ml/train';

/** A loss, in four significant digits: `0.3457`, `12.35`, `1.234e-5`. */
export function formatLoss(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return String(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(3);
  return size >= 1e4 ? value.toFixed(0) : value.toPrecision(4);
}

/** A metric: four decimals between -1 and 1 (`0.9778`), where most live; otherwise as a loss. */
export function formatMetric(value: number): string {
  const fixed = value.toFixed(4);
  return Math.abs(value) <= 1 && (Number(fixed) !== 0 || value === 0) ? fixed : formatLoss(value);
}

/** A figure by its name, which may say whose it is: `validation.loss`. */
export function formatFigure(name: string, value: number): string {
  return name === 'loss' || name.endsWith('.loss') ? formatLoss(value) : formatMetric(value);
}

/** Names and numbers, the loss first; what isn't a number (a confusion matrix) is left out. */
export function formatFigures(figures: Figures): [name: string, text: string][] {
  return Object.entries(figures).flatMap(([name, value]) =>
    typeof value === 'number' ? [[name, formatFigure(name, value)]] : [],
  );
}

/** `2.1s`, `42s`, `1m 05s`, `2h 07m`, `3d 04h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two((whole % 3600) / 60)}m`;
  return `${Math.floor(whole / 86400)}d ${two((whole % 86400) / 3600)}h`;
}

/** `1,234` */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** A number of things a second: whole where there are many, `3.7` where there are few. */
export function formatRate(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : formatCount(perSecond);
}

/** In as many digits as it needs, three at most: `0.00075`, `7.5e-7`. */
export function formatLearningRate(value: number): string {
  return String(Number(value.toPrecision(3)));
}
