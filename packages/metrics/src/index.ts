export * from './classification.js';
export type { ExactSum, Sums } from './exact_sum.js';
export * from './mean.js';
export type { ClassOptions, ObservedClasses } from './observation.js';
