import type { Options } from 'tsup';

export interface LibraryOptions {
  /** Entry files, relative to the package: each becomes `dist/NAME.js` and `dist/NAME.d.ts`. */
  readonly entry: readonly string[];
  /** Bare specifiers to bundle although nothing declares them as ours, as regular expressions. */
  readonly bundle?: readonly RegExp[];
  /** Source files to leave as imports, because another build of the package makes them. */
  readonly keep?: readonly string[];
  /** Whether this build empties `dist` first (default true): of several builds of a package, one does. */
  readonly first?: boolean;
  /** esbuild plugins. */
  readonly plugins?: Options['esbuildPlugins'];
}

/** The one tsup configuration: ESM for Node 20 and current browsers, declarations, source maps. */
export function library(options: LibraryOptions): Options;

/** An esbuild plugin that bundles tfjs-core's gradients while tfjs-core itself stays external. */
export { esbuildTfjsGradients } from './tfjs-gradients.js';
