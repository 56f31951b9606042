export * from './document.js';
export { freeName, insertLayer, moveLayer, removeLayer, replaceLayer } from './edit_network.js';
export * from './experiment.js';
export * from './fit_network.js';
export * from './inspect_network.js';
export * from './layer_catalog.js';
export * from './load_data.js';
export * from './presets.js';
export * from './read_document.js';
