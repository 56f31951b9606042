export * from './explainer.js';
export * from './histogram.js';
export * from './nearest.js';
export type { LayerOutput } from './outline.js';
export type { ClassTarget } from './targets.js';
