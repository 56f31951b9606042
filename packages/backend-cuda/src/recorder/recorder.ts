import type { Plan, Recorder, Recording } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { TfBackend } from '../tf_backend.js';
import { type PlanInput, TfPlan } from './plan.js';
import { difference, Trace } from './trace.js';

/** Records what ops TensorFlow runs. See core's `Recorder`. */
export function createRecorder(backend: TfBackend): Recorder {
  return {
    changesNumbers: false,
    begin(inputs, origins) {
      const trace = new Trace();
      const given = inputs.map((tensor, i) => {
        const { shape, type } = backend.dataOf(tensor);
        return {
          buffer: trace.given(backend.idOf(tensor.dataId), shape, type),
          fromHost: origins[i] === 'host',
        };
      });
      backend.runtime.trace = trace;
      return new TfRecording(backend, trace, given);
    },
    difference(earlier, later) {
      const [a, b] = [earlier as TfRecording, later as TfRecording];
      const differs = difference(a.trace, b.trace);
      if (differs !== undefined) return differs;
      return a.outputs.join() === b.outputs.join() ? undefined : 'the outputs differ from call to call';
    },
    plan(recording): Plan {
      const { trace, inputs, outputs } = recording as TfRecording;
      return new TfPlan(backend, trace, inputs, outputs);
    },
  };
}

class TfRecording implements Recording {
  outputs: readonly number[] = [];

  constructor(
    readonly backend: TfBackend,
    readonly trace: Trace,
    readonly inputs: readonly PlanInput[],
  ) {}

  get reason(): string | undefined {
    return this.trace.reason;
  }

  end(outputs?: readonly Tensor[]): void {
    try {
      if (!outputs) this.trace.unrecordable('it threw');
      // A value that only the host has is uploaded now, as a constant.
      else this.outputs = outputs.map(({ dataId }) => this.trace.numberOf(this.backend.idOf(dataId)));
    } finally {
      this.backend.runtime.trace = undefined;
    }
  }
}
