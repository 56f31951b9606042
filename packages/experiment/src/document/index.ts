/** What edits documents, and computes nothing: without TensorFlow.js and without layers, for a page's own thread. */
export * from '../document.js';
export { freeName, insertLayer, layerList, moveLayer, removeLayer, replaceLayer } from '../edit_network.js';
export * from '../fit_network.js';
