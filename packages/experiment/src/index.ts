export * from './document.js';
export * from './norms.js';
