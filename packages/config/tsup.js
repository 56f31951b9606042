/** The one tsup configuration of the workspace; see tsup.d.ts for the options. */
export function library({ entry, bundle = [], keep = [], types = true, plugins = [] }) {
  return {
    entry: Object.fromEntries(entry.map((file) => [file.replace(/^src\//, '').replace(/\.ts$/, ''), file])),
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    outDir: 'dist',
    splitting: true,
    sourcemap: true,
    clean: false,
    silent: true,
    treeshake: false,
    noExternal: [...bundle],
    esbuildPlugins: [keepExternal(keep), ...plugins],
    // The build sees other packages through their built types, as a user does.
    tsconfig: new URL('./tsconfig.build.json', import.meta.url).pathname,
    dts: types,
  };
}

/** Leaves the given relative specifiers untouched in the output. */
function keepExternal(specifiers) {
  return {
    name: 'keep-external',
    setup(build) {
      if (specifiers.length === 0) return;
      build.onResolve({ filter: /^\./ }, ({ path, kind }) =>
        kind !== 'entry-point' && specifiers.includes(path) ? { path, external: true } : undefined,
      );
    },
  };
}
