import type { EpochEvent, RunEvent, StepEvent } from '@tenon-ml/train';

/** Where a training is, as far as its events tell. */
export interface Progress {
  readonly epochs: number;
  /** Counted from 0; the last one once all are over. */
  readonly epoch: number;
  readonly step: number;
  /** null while nobody knows how many steps an epoch has. */
  readonly stepsPerEpoch: number | null;
  /** Steps made in this epoch; null where a resumed run can't tell. */
  readonly stepInEpoch: number | null;
  /** Of the last step. */
  readonly loss?: number;
  /** Of the last step, once it has been seen to change. */
  readonly learningRate?: number;
  /** While it trains: validation and checkpoints don't count. */
  readonly examplesPerSecond?: number;
  /** For all epochs that are left, validation and checkpoints included. */
  readonly secondsLeft?: number;
  /** The best epoch that this process has seen. */
  readonly best?: number;
  /** From the start to the last event; absent where part of it ran in another process. */
  readonly seconds?: number;
  /** Of the epoch that ended last; absent where part of it ran in another process. */
  readonly epochSeconds?: number;
}

/** Follows the events of one training; the clock (in milliseconds) is read when they come. */
export interface ProgressTracker {
  update(event: RunEvent): void;
  current(): Progress;
}

/** Speeds are those of about the last ten seconds: earlier steps fade out. */
const memoryMilliseconds = 10_000;

export function trackProgress(now: () => number): ProgressTracker {
  let epochs = 0;
  let epoch = 0;
  let step = 0;
  let stepsPerEpoch: number | null = null;
  let epochBegin: number | null = null;
  let loss: number | undefined;
  let best: number | undefined;

  let started: number | null = null;
  let previous = now();
  let epochStarted: number | null = null;
  let epochSeconds: number | undefined;
  // Sums over the last steps, and over the whole of what isn't steps.
  const recent = { steps: 0, examples: 0, milliseconds: 0 };
  let overhead = 0;
  let epochsHere = 0;
  const rates = new Map<string, number>();
  let varying: string | undefined;

  const measureStep = (event: StepEvent, elapsed: number): void => {
    const faded = Math.exp(-elapsed / memoryMilliseconds);
    recent.steps = recent.steps * faded + 1;
    recent.examples = recent.examples * faded + event.examples;
    recent.milliseconds = recent.milliseconds * faded + elapsed;
    for (const [name, value] of Object.entries(event.scalars)) {
      if (name !== 'learningRate' && !name.endsWith('/learningRate')) continue;
      if (varying === undefined && rates.has(name) && rates.get(name) !== value) varying = name;
      rates.set(name, value);
    }
  };

  const endEpoch = (event: EpochEvent, time: number): void => {
    epochsHere++;
    epochSeconds = epochStarted === null ? undefined : (time - epochStarted) / 1000;
    stepsPerEpoch ??= Math.round(event.step / (event.epoch + 1));
    if (event.best) best = event.epoch;
    epoch = event.epoch + 1;
    epochBegin = event.step;
    epochStarted = time;
  };

  return {
    update(event) {
      const time = now();
      const elapsed = time - previous;
      previous = time;
      if (event.type === 'report') return;
      step = event.step;
      switch (event.type) {
        case 'start': {
          ({ epochs, epoch, stepsPerEpoch } = event);
          const begin = epoch === 0 ? 0 : stepsPerEpoch === null ? null : epoch * stepsPerEpoch;
          epochBegin = begin;
          started = step === 0 ? time : null;
          epochStarted = begin === step ? time : null;
          break;
        }
        case 'step':
          ({ loss, epoch } = event);
          measureStep(event, elapsed);
          break;
        case 'epoch':
          overhead += elapsed;
          endEpoch(event, time);
          break;
        default:
          overhead += elapsed;
      }
    },
    current() {
      const over = epoch >= epochs;
      const stepInEpoch = epochBegin === null ? null : step - epochBegin;
      const stepsLeft =
        stepsPerEpoch === null || stepInEpoch === null
          ? undefined
          : over
            ? 0
            : Math.max(0, (epochs - epoch) * stepsPerEpoch - stepInEpoch);
      const measured = recent.steps > 0 && recent.milliseconds > 0;
      const perEpoch = epochsHere > 0 ? overhead / epochsHere : 0;
      return {
        epochs,
        epoch: over ? Math.max(0, epochs - 1) : epoch,
        step,
        stepsPerEpoch,
        stepInEpoch: over ? stepsPerEpoch : stepInEpoch,
        loss,
        learningRate: varying === undefined ? undefined : rates.get(varying),
        examplesPerSecond: measured ? (1000 * recent.examples) / recent.milliseconds : undefined,
        secondsLeft:
          measured && stepsLeft !== undefined
            ? (stepsLeft * (recent.milliseconds / recent.steps) + Math.max(0, epochs - epoch) * perEpoch) /
              1000
            : undefined,
        best,
        seconds: started === null ? undefined : (previous - started) / 1000,
        epochSeconds,
      };
    },
  };
}
