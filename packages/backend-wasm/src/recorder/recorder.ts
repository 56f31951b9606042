import type { Plan, Recorder, Recording } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { EngineBackend } from '../engine_backend.js';
import { EnginePlan, type PlanInput } from './plan.js';
import { difference, type Place, Trace } from './trace.js';

/** Records what an engine's kernels are called with. See core's `Recorder`. */
export function createRecorder(backend: EngineBackend): Recorder {
  return {
    begin(inputs, origins) {
      const trace = new Trace(backend, inputs);
      const recording = new EngineRecording(
        backend,
        trace,
        inputs.map((tensor, i) => ({ buffer: trace.numberOf(tensor), fromHost: origins[i] === 'host' })),
      );
      backend.trace = trace;
      return recording;
    },
    difference(earlier, later) {
      const [a, b] = [earlier as EngineRecording, later as EngineRecording];
      const differs = difference(a.trace, b.trace);
      if (differs !== undefined) return differs;
      return JSON.stringify(a.outputs) === JSON.stringify(b.outputs)
        ? undefined
        : 'the outputs differ from call to call';
    },
    plan(recording): Plan {
      const { trace, inputs, outputs } = recording as EngineRecording;
      return new EnginePlan(backend, trace, inputs, outputs);
    },
    changesNumbers: false,
  };
}

class EngineRecording implements Recording {
  outputs: readonly Place[] = [];

  constructor(
    readonly backend: EngineBackend,
    readonly trace: Trace,
    readonly inputs: readonly PlanInput[],
  ) {}

  get reason(): string | undefined {
    return this.trace.reason;
  }

  end(outputs?: readonly Tensor[]): void {
    this.backend.trace = undefined;
    if (!outputs) {
      this.trace.unrecordable('it threw');
      return;
    }
    this.outputs = outputs.map((tensor) => {
      const { shape, dtype } = tensor;
      if (dtype === 'string' || dtype === 'complex64') this.trace.unrecordable(`an output is of ${dtype}`);
      return { buffer: this.trace.numberOf(tensor), shape: [...shape], dtype };
    });
  }
}
