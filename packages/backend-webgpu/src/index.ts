export * from './webgpu.js';
