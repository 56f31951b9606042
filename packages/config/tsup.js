import { basename, resolve } from 'node:path';

export { esbuildTfjsGradients } from './tfjs-gradients.js';

/** The one tsup configuration of the workspace; see tsup.d.ts for the options. */
export function library({ entry, bundle = [], keep = [], first = true, plugins = [] }) {
  return {
    entry: Object.fromEntries(entry.map((file) => [outputName(file), file])),
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    outDir: 'dist',
    splitting: true,
    sourcemap: true,
    // Old chunks go; declarations and the files of another build of the package stay.
    clean: first && ['!**/*.d.ts', '!**/*.d.ts.map', ...keep.map((file) => `!${outputName(file)}.js*`)],
    silent: true,
    treeshake: false,
    noExternal: [...bundle],
    esbuildPlugins: [keepExternal(keep), ...plugins],
    // The build sees other packages through their built types, as a user does.
    tsconfig: new URL('./tsconfig.build.json', import.meta.url).pathname,
    // scripts/build-types.mjs writes the declarations of all packages at once.
    dts: false,
    removeNodeProtocol: false,
    external: [/^node:/],
  };
}

/** `src/node/index.ts` becomes `dist/node.js`: the output is flat, so relative imports in it hold from anywhere. */
function outputName(file) {
  return file
    .replace(/^src\//, '')
    .replace(/\.ts$/, '')
    .replace(/\/index$/, '')
    .replaceAll('/', '-');
}

/** Leaves imports of the given source files as imports of the files that another build makes of them. */
function keepExternal(files) {
  const kept = new Set(files.map((file) => resolve(file)));
  return {
    name: 'keep-external',
    setup(build) {
      if (kept.size === 0) return;
      build.onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
        const file = resolve(resolveDir, path).replace(/\.js$/, '.ts');
        if (kind === 'entry-point' || !kept.has(file)) return undefined;
        return { path: `./${basename(file, '.ts')}.js`, external: true };
      });
    },
  };
}
