import type { Options } from 'tsup';
import type { Plugin } from 'vite';

/** The bridge as an esbuild plugin; `directory` is that of a package which depends on tfjs-core. */
export function esbuildTfjsGradients(directory: string): NonNullable<Options['esbuildPlugins']>[number];

/** The bridge as a Vite plugin; `directory` as above. */
export function viteTfjsGradients(directory: string): Plugin;
