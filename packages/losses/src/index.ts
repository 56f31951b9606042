export * from './cross_entropy.js';
export * from './regression.js';
