/**
 * Lets a bundler take in tfjs-core's `dist/register_all_gradients`, which Node can't import, without a second
 * copy of tfjs-core: what the gradients import from inside tfjs-core and tfjs-core also exports publicly is
 * taken from the public package; only the gradients and the few private ops they call are bundled.
 *
 * Nothing breaks if a module is missed: tfjs keeps its engine and registries on the global object, so a
 * bundled copy of an op works too. It only costs bytes.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { build } from 'esbuild';

const PACKAGE = '@tensorflow/tfjs-core';
const ENTRY = `${PACKAGE}/dist/register_all_gradients`;

/** Modules whose every export is also a member of a public namespace of tfjs-core. */
const NAMESPACES = {
  'util.js': 'util',
  'util_base.js': 'util',
  'tensor_util.js': 'tensor_util',
  'ops/axis_util.js': 'backend_util',
  'ops/broadcast_util.js': 'broadcast_util',
  'ops/conv_util.js': 'backend_util',
  'ops/slice_util.js': 'slice_util',
};

/** Modules of which the gradients use these exports, public under the same name. */
const NAMES = {
  'base.js': ['backend_util'],
  'environment.js': ['env'],
  'gradients.js': ['customGrad'],
  'ops/operation.js': ['op', 'OP_SCOPE_SUFFIX'],
};

/** Modules whose exports have a public equal under another name. */
const EQUALS = {
  'engine.js': `import { engine } from '${PACKAGE}';
export const ENGINE = engine();
`,
  'tensor.js': `import { Tensor } from '${PACKAGE}';
export { Tensor, TensorBuffer, Variable } from '${PACKAGE}';
export const getGlobalTensorClass = () => Tensor;
`,
};

/**
 * The bridge for the tfjs-core that `directory` resolves.
 * `resolve(specifier, importer)` gives a file of tfjs-core, or undefined where the import is none of ours;
 * `source(file)` gives the module to load in its place, or undefined to load the file itself.
 */
export function tfjsGradients(directory) {
  const require = createRequire(join(directory, 'package.json'));
  const entry = require.resolve(`${ENTRY}.js`);
  const dist = dirname(entry);
  const text = (name) => readFileSync(join(dist, name), 'utf8');
  const declared = (name) =>
    [...text(name).matchAll(/^export (?:const|function|class) (\w+)/gm)].map((m) => m[1]);

  const names = { ...NAMES };
  for (const name of ['globals.js', 'kernel_names.js', 'kernel_registry.js']) names[name] = declared(name);
  for (const [, name, file] of text('ops/ops.js').matchAll(/^export \{ (\w+) \} from '\.\/(\w+)';/gm)) {
    (names[`ops/${file}.js`] ??= []).push(name);
  }
  for (const [, file] of text('ops/ops.js').matchAll(/^export \* from '\.\/(\w+)';/gm)) {
    names[`ops/${file}.js`] = declared(`ops/${file}.js`);
  }

  return {
    entry,
    resolve(specifier, importer) {
      if (specifier === ENTRY) return entry;
      if (!specifier.startsWith('.') || !importer?.startsWith(dist + sep)) return undefined;
      const file = `${resolve(dirname(importer), specifier)}.js`;
      return existsSync(file) ? file : undefined;
    },
    source(file) {
      const name = relative(dist, file).split(sep).join('/');
      if (name in EQUALS) return EQUALS[name];
      if (name in NAMESPACES) {
        const namespace = NAMESPACES[name];
        const members = declared(name === 'util.js' ? 'util_base.js' : name).concat(declared(name));
        const lines = [...new Set(members)].map(
          (member) => `export const ${member} = /* @__PURE__ */ (() => ${namespace}.${member})();`,
        );
        return [`import { ${namespace} } from '${PACKAGE}';`, ...lines, ''].join('\n');
      }
      if (name in names) return `export { ${names[name].join(', ')} } from '${PACKAGE}';\n`;
      return undefined;
    },
  };
}

/** The bridge as an esbuild plugin, for the build of core. */
export function esbuildTfjsGradients(directory) {
  return {
    name: 'tfjs-gradients',
    setup(build) {
      const bridge = tfjsGradients(directory);
      build.onResolve({ filter: /.*/ }, ({ path, importer }) => {
        const file = bridge.resolve(path, importer);
        if (file === undefined) return undefined;
        const source = bridge.source(file);
        if (source === undefined) return { path: file, sideEffects: file === bridge.entry };
        return { path: basename(file), namespace: 'tfjs-core', pluginData: source, sideEffects: false };
      });
      build.onLoad({ filter: /.*/, namespace: 'tfjs-core' }, ({ pluginData }) => ({
        contents: pluginData,
        loader: 'js',
        resolveDir: directory,
      }));
    },
  };
}

/** The bridge as a Vite plugin, for tests that run from source: the gradients arrive as one module. */
export function viteTfjsGradients(directory) {
  const { entry } = tfjsGradients(directory);
  let bundled;
  return {
    name: 'tfjs-gradients',
    enforce: 'pre',
    resolveId(specifier) {
      return specifier === ENTRY ? entry : undefined;
    },
    async load(id) {
      if (id !== entry) return undefined;
      bundled ??= build({
        entryPoints: [entry],
        bundle: true,
        write: false,
        format: 'esm',
        platform: 'neutral',
        external: [PACKAGE],
        plugins: [esbuildTfjsGradients(directory)],
      });
      return (await bundled).outputFiles[0].text;
    },
  };
}
