export * from './folder_store.js';
