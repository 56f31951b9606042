import { stripVTControlCharacters } from 'node:util';
import type { EndEvent, EpochEvent, StartEvent } from '@tenon-ml/train';
import pc from 'picocolors';
import sliceAnsi from 'slice-ansi';
import {
  formatCount,
  formatDuration,
  formatFigure,
  formatFigures,
  formatLearningRate,
  formatLoss,
  formatRate,
} from './format.js';
import type { Progress } from './progress.js';

export type Colors = ReturnType<typeof pc.createColors>;

/** Colours that leave text as it is. */
export const plain: Colors = pc.createColors(false);

/** Cuts a line to the width of the terminal, with an ellipsis; colours and wide characters are accounted for. */
export function truncate(line: string, columns: number): string {
  if (fits(line, columns)) return line;
  const cut = sliceAnsi(line, 0, columns - 1);
  // A wide character that begins in the last column is in the slice.
  return `${fits(cut, columns - 1) ? cut : sliceAnsi(line, 0, columns - 2)}…`;
}

function fits(line: string, columns: number): boolean {
  const text = stripVTControlCharacters(line);
  // Finding out how wide characters are takes long, and is hardly ever needed.
  if (/^[ -~█░…]*$/.test(text)) return text.length <= columns;
  // What is put behind the text begins where the text ends.
  const ended = `${text}.`;
  return sliceAnsi(ended, 0, columns + 1) === ended;
}

/** `5,130 parameters, 20 epochs of 40 steps` */
export function startLine({ epoch, epochs, step, stepsPerEpoch, parameters, resumed }: StartEvent): string {
  const size = `${formatCount(parameters)} parameters`;
  const length = `${plural(epochs, 'epoch')}${stepsPerEpoch === null ? '' : ` of ${plural(stepsPerEpoch, 'step')}`}`;
  if (!resumed) return `${size}, ${length}`;
  const place = epoch < epochs ? `in epoch ${epoch + 1}` : 'at the end';
  return `Going on after step ${formatCount(step)}, ${place}: ${size}, ${length}`;
}

/** What an epoch came to, in as many words as there is room for. */
export function epochLine(
  event: EpochEvent,
  { epochs, epochSeconds }: Progress,
  colors: Colors,
  columns = Number.POSITIVE_INFINITY,
): string {
  const count = `${String(event.epoch + 1).padStart(String(epochs).length)}/${epochs}`;
  const figures = (pairs: readonly [string, string][]): string =>
    pairs.map(([name, text]) => `${colors.dim(name)} ${text}`).join('  ');
  const train = formatFigures(event.train);
  const validation = event.validation && formatFigures(event.validation);
  const best = event.best ? `  ${colors.green('best')}` : '';
  const skipped = event.skipped ? `  ${colors.yellow(`${plural(event.skipped, 'step')} skipped`)}` : '';
  const time = epochSeconds === undefined ? '' : `  ${colors.dim(formatDuration(epochSeconds))}`;
  const head = `${colors.dim('epoch')} ${count}`;

  const both = (name: string): string =>
    `${head}  ${colors.cyan('train')} ${figures(train)}${validation ? `  ${colors.cyan(name)} ${figures(validation)}` : ''}`;
  const decisive = validation ? `${colors.cyan('val')} ${figures(validation)}` : figures(train);
  const variants = [`${both('validation')}${time}`, both('val'), `${head}  ${decisive}`];
  // Room for the mark is kept whether it is there or not: the lines of a run shall be alike.
  const fitting = variants.find((line) => fits(`${line}  best`, columns));
  if (fitting !== undefined) {
    const whole = `${fitting}${best}${skipped}`;
    return fits(whole, columns) ? whole : `${fitting}${best}`;
  }
  return `${count}${event.best ? colors.green('*') : ' '} ${decisive}`;
}

/** `Completed: 20 epochs, 800 steps, 1m 05s. Best: epoch 18, validation.loss 0.05671.`, on two lines if need be. */
export function endLine(
  { reason, epoch, step, best }: EndEvent,
  { seconds }: Progress,
  columns = Number.POSITIVE_INFINITY,
): string {
  const how = { completed: 'Completed', 'early-stopping': 'Stopped early', aborted: 'Stopped' }[reason];
  const time = seconds === undefined ? '' : `, ${formatDuration(seconds)}`;
  const length = `${plural(epoch, 'epoch')}, ${plural(step, 'step')}${time}`;
  const first = `${how}: ${length}.`;
  if (!best) return first;
  const second = `Best: epoch ${best.epoch + 1}, ${best.monitor} ${formatFigure(best.monitor, best.value)}.`;
  return first.length + 1 + second.length <= columns ? `${first} ${second}` : `${first}\n${second}`;
}

/** The part that is redrawn: where it is, a bar, and what is going on, each line within `columns`. */
export function liveLines(progress: Progress, colors: Colors, columns: number): string[] {
  const { epoch, epochs, step, stepsPerEpoch, stepInEpoch, loss, best } = progress;
  const { learningRate, examplesPerSecond, secondsLeft } = progress;
  const count = `${String(epoch + 1).padStart(String(epochs).length)}/${epochs}`;
  const head = `epoch ${count}`;
  const known = stepsPerEpoch !== null && stepInEpoch !== null;
  const steps = known
    ? `${String(Math.min(stepInEpoch, stepsPerEpoch)).padStart(String(stepsPerEpoch).length)}/${stepsPerEpoch}`
    : `step ${formatCount(step)}`;
  const room = Math.min(40, columns - head.length - steps.length - 4);
  const done = known ? (stepsPerEpoch === 0 ? 1 : Math.min(1, stepInEpoch / stepsPerEpoch)) : 0;
  const drawn = known && room >= 5 ? `  ${bar(done, room, colors)}` : '';
  const first = `${colors.bold(head)}${drawn}  ${steps}`;

  const facts: string[] = [];
  if (loss !== undefined) facts.push(`${colors.dim('loss')} ${formatLoss(loss)}`);
  if (examplesPerSecond !== undefined)
    facts.push(`${formatRate(examplesPerSecond)} ${colors.dim('examples/s')}`);
  if (learningRate !== undefined)
    facts.push(`${colors.dim('learning rate')} ${formatLearningRate(learningRate)}`);
  if (secondsLeft !== undefined) facts.push(`${formatDuration(secondsLeft)} ${colors.dim('left')}`);
  if (best !== undefined) facts.push(colors.green(`best epoch ${best + 1}`));
  return [first, ...flow(facts, columns)].map((line) => truncate(line, columns));
}

/** Puts as many facts on a line as it holds. */
function flow(facts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  let used = 0;
  for (const fact of facts) {
    const width = stripVTControlCharacters(fact).length;
    if (lines.length > 0 && used + 2 + width <= columns) {
      lines[lines.length - 1] += `  ${fact}`;
      used += 2 + width;
    } else {
      lines.push(fact);
      used = width;
    }
  }
  return lines;
}

function bar(done: number, width: number, colors: Colors): string {
  const filled = Math.round(done * width);
  return `${colors.cyan('█'.repeat(filled))}${colors.dim('░'.repeat(width - filled))}`;
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
