export * from './opfs_store.js';
export * from './storage.js';
