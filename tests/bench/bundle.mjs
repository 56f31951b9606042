/** Bundles a TypeScript file on the packages' sources, for Node; tfjs and other peers stay outside of the bundle. */
import { mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { esbuildTfjsGradients } from '@tenon-ml/config/tsup';
import { build } from 'esbuild';

/** This folder, which code inside a bundle can't find by itself. */
export const benchFolder = import.meta.dirname;

const tests = resolve(benchFolder, '..');

/** Gives the bundle's path. It lies inside this package, so that the imports that stay resolve from here. */
export async function bundle(entry) {
  const folder = join(tests, 'node_modules/.cache/bench');
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${process.pid}-${basename(entry).replace(/\W/g, '-')}.mjs`);
  await build({
    entryPoints: [resolve(entry)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['@tenon-ml/source'],
    // The gradients of tfjs can't be imported by Node, so they are bundled.
    external: ['@tensorflow/*', '@jax-js/*', 'playwright-core', 'vite', import.meta.filename],
    sourcemap: 'inline',
    plugins: [esbuildTfjsGradients(join(tests, '../packages/core'))],
    logLevel: 'warning',
  });
  return outfile;
}
