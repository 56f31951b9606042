export * from './dataset.js';
export { fromArrays, fromExamples, fromGenerator, type GeneratorOptions } from './sources.js';
