import type { Plan, Recorder, Recording } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../gpu_backend.js';
import type { PlanInput } from './placing.js';
import { GpuPlan } from './plan.js';
import { difference, isRecordable, type Place, Trace } from './trace.js';

/** Records what is submitted to a GPU. See core's `Recorder`. */
export function createRecorder(backend: GpuBackend): Recorder {
  return {
    changesNumbers: true,
    precisions: backend.found.device.features.has('shader-f16') ? ['mixed-float16'] : [],
    begin(inputs, origins) {
      const trace = new Trace(backend, inputs);
      backend.trace = trace;
      const given =
        trace.reason === undefined
          ? inputs.map((tensor, i) => ({ buffer: trace.numberOf(tensor), origin: origins[i] }))
          : [];
      return new GpuRecording(backend, trace, given);
    },
    difference(earlier, later) {
      const [a, b] = [earlier as GpuRecording, later as GpuRecording];
      const differs = difference(a.trace, b.trace);
      if (differs !== undefined) return differs;
      return JSON.stringify(a.outputs) === JSON.stringify(b.outputs)
        ? undefined
        : 'the outputs differ from call to call';
    },
    plan(recording, precision): Plan {
      const { trace, inputs, outputs } = recording as GpuRecording;
      return GpuPlan.of(backend, trace, inputs, outputs, precision);
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
    try {
      if (outputs) this.outputs = outputs.map((tensor) => this.#placeOf(tensor));
      else this.trace.unrecordable('it threw');
    } finally {
      // A value that only the host has is uploaded now, for which there may be no room.
      this.backend.trace = undefined;
    }
  }

  #placeOf(tensor: Tensor): Place {
    const { shape, dtype } = tensor;
    if (!isRecordable(tensor)) this.trace.unrecordable(`an output is of ${dtype}`);
    const buffer = this.trace.reason === undefined ? this.trace.numberOf(tensor) : 0;
    return { buffer, shape: [...shape], dtype };
  }
}
