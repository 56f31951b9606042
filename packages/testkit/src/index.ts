export * from './goldens.js';
export * from './gradientCheck.js';
export * from './tolerances.js';
