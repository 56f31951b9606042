export * from './document.js';
export * from './experiment.js';
export * from './fit_network.js';
export * from './load_data.js';
export * from './presets.js';
export * from './read_document.js';
