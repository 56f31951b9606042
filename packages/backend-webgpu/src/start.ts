/** What is loaded when a backend starts: it brings tfjs's own, which looks for a GPU as soon as it is imported. */
export { createGpuBackend } from './create_backend.js';
export { registerKernels, unregisterKernels } from './kernels/register.js';
export { createRecorder } from './recorder/recorder.js';
