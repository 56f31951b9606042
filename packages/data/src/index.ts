export * from './augmentation.js';
export {
  type CsvDataset,
  type CsvDatasetOptions,
  type CsvOptions,
  type CsvTable,
  fromCsv,
  parseCsv,
} from './csv.js';
export * from './dataset.js';
export * from './sampling.js';
export { fromArrays, fromExamples, fromGenerator, type GeneratorOptions } from './sources.js';
export * from './text.js';
export * from './transforms.js';
