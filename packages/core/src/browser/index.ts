export * from './opfs_store.js';
export { type StorageEstimate, storageEstimate } from './storage.js';
