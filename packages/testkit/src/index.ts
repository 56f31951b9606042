export * from './backends.js';
export * from './goldens.js';
export * from './gradientCheck.js';
export * from './requires.js';
export * from './tolerances.js';
