import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { EngineBackend } from '../engine_backend.js';
import { hostKernel } from './kernel.js';

/** The op `Choose` of core: a copy of one of two tensors, by a bool scalar. */
export const choose = hostKernel('Choose', ({ inputs, backend }) => {
  const { data } = backend as EngineBackend;
  const { condition, yes, no } = inputs as Record<string, TensorInfo>;
  const chosen = Number(data.get(condition.dataId).values?.[0]) === 0 ? no : yes;
  // The storage copies what it is given.
  return (backend as EngineBackend).makeTensorInfo(
    chosen.shape,
    chosen.dtype,
    data.get(chosen.dataId).values,
  );
});
