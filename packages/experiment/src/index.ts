export * from './document.js';
export { documentCode } from './document_code.js';
export { freeName, insertLayer, layerList, moveLayer, removeLayer, replaceLayer } from './edit_network.js';
export {
  augmentationsOf,
  checkpointInterval,
  type DataParts,
  type DocumentOptions,
  documentExperiment,
  documentOrigin,
  originDocument,
  splitDocumentData,
} from './experiment.js';
export * from './fit_network.js';
export * from './inspect_network.js';
export * from './layer_catalog.js';
export * from './learning_rate.js';
export * from './load_data.js';
export { networkCode } from './network_code.js';
export * from './presets.js';
export * from './read_document.js';
export * from './share.js';
