import type { Plan, Recorder, Recording } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../gpu_backend.js';
import { GpuPlan, type PlanInput } from './plan.js';
import { difference, type Place, Trace } from './trace.js';

/** Records what is submitted to a GPU. See core's `Recorder`. */
export function createRecorder(backend: GpuBackend): Recorder {
  return {
    changesNumbers: true,
    begin(inputs, fromHost) {
      const trace = new Trace(backend, inputs);
      backend.trace = trace;
      return new GpuRecording(
        backend,
        trace,
        inputs.map((tensor, i) => ({ buffer: trace.numberOf(tensor), fromHost: fromHost[i] })),
      );
    },
    difference(earlier, later) {
      const [a, b] = [earlier as GpuRecording, later as GpuRecording];
      const differs = difference(a.trace, b.trace);
      if (differs !== undefined) return differs;
      return JSON.stringify(a.outputs) === JSON.stringify(b.outputs)
        ? undefined
        : 'the outputs differ from call to call';
    },
    plan(recording): Plan {
      const { trace, inputs, outputs } = recording as GpuRecording;
      return GpuPlan.of(backend, trace, inputs, outputs);
    },
  };
}

class GpuRecording implements Recording {
  outputs: readonly Place[] = [];

  constructor(
    readonly backend: GpuBackend,
    readonly trace: Trace,
    readonly inputs: readonly PlanInput[],
  ) {}

  get reason(): string | undefined {
    return this.trace.reason;
  }

  end(outputs?: readonly Tensor[]): void {
    if (outputs) {
      this.outputs = outputs.map((tensor) => {
        const { shape, dtype } = tensor;
        if (dtype === 'string' || dtype === 'complex64') {
          this.trace.unrecordable(`an output is of ${dtype}`);
          return { buffer: 0, shape: [...shape], dtype };
        }
        return { buffer: this.trace.numberOf(tensor), shape: [...shape], dtype };
      });
    } else this.trace.unrecordable('it threw');
    this.backend.trace = undefined;
  }
}
