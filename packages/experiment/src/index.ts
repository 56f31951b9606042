export * from './document.js';
export * from './fit_network.js';
export * from './presets.js';
export * from './read_document.js';
