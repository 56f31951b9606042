import type { EndEvent, EpochEvent, RunEvent, StartEvent, StepEvent } from '@tenon-ml/train';

export function start(parts: Partial<StartEvent> = {}): StartEvent {
  const standard = { step: 0, epoch: 0, epochs: 3, stepsPerEpoch: 10, parameters: 5130, resumed: false };
  return { type: 'start', ...standard, ...parts };
}

export function step(number: number, epoch: number, parts: Partial<StepEvent> = {}): StepEvent {
  return { type: 'step', step: number, epoch, loss: 1 / number, examples: 32, scalars: {}, ...parts };
}

export function epochEnd(epoch: number, parts: Partial<EpochEvent> = {}): EpochEvent {
  return {
    type: 'epoch',
    step: (epoch + 1) * 10,
    epoch,
    train: { loss: 0.34567, accuracy: 0.9 },
    validation: { loss: 0.23456, accuracy: 0.97777 },
    best: true,
    ...parts,
  };
}

export function end(parts: Partial<EndEvent> = {}): EndEvent {
  const best = { epoch: 1, monitor: 'validation.loss', value: 0.056712 };
  return { type: 'end', step: 30, epoch: 3, reason: 'completed', best, ...parts };
}

/** Three epochs of ten steps. */
export function* training(): Generator<RunEvent> {
  yield start();
  for (let epoch = 0; epoch < 3; epoch++) {
    for (let i = 1; i <= 10; i++) yield step(epoch * 10 + i, epoch);
    yield epochEnd(epoch, { best: epoch === 1 });
    yield { type: 'checkpoint', step: (epoch + 1) * 10, epoch, path: 'checkpoints/1' };
  }
  yield end();
}
