import type { Plugin } from 'vite';

/** Lets Vite build the packages from source: tfjs-core's gradients arrive as one module. `directory` is core's. */
export function viteTfjsGradients(directory: string): Plugin;
