export * from './apply.js';
export * from './chain.js';
export * from './clipping.js';
export { mapUpdates, mirrorParams, updateSlots } from './leaves.js';
export * from './optimizers.js';
export * from './schedules.js';
export {
  type AdagradScaling,
  type AdamScaling,
  addDecayedWeights,
  type DecayOptions,
  type MomentumOptions,
  momentum,
  type ParameterMask,
  scaleByAdagrad,
  scaleByAdam,
  scaleByLearningRate,
} from './transforms.js';
