import * as tfjs from '@tensorflow/tfjs-core';
import { type Attribute, type Binding, constants, type Type, typeAttribute, typeOf } from './binding.js';
import { BINDING } from './cache.js';
import { nodeModule } from './host.js';

/** What a folder like the package tfjs-node-gpu holds for us. */
export interface TfjsNode {
  readonly binding: Binding;
  /** tfjs-node's kernels: each calls ops of TensorFlow's. */
  readonly kernels: readonly tfjs.KernelConfig[];
}

/**
 * Loads the binding and the kernels of tfjs-node from a folder like its package. Its backend and its entry stay where they
 * are: they register themselves, take all of tfjs along, and call functions that Node 23 has taken out of `util`. What its
 * kernels import is handed to them here, so that nothing in anybody's `node_modules` is changed.
 */
export function loadTfjsNode(folder: string): TfjsNode {
  const fs = nodeModule?.('node:fs');
  const path = nodeModule?.('node:path');
  const module = nodeModule?.('node:module');
  const vm = nodeModule?.('node:vm');
  if (!fs || !path || !module || !vm) throw new Error('This is not Node.');

  const kernels: tfjs.KernelConfig[] = [];
  const given: { readonly [name: string]: unknown } = {
    '@tensorflow/tfjs': { ...tfjs, registerKernel: (kernel: tfjs.KernelConfig) => kernels.push(kernel) },
    '@tensorflow/tfjs-core': tfjs,
    // Node 23 has taken it out.
    util: { isNullOrUndefined: (value: unknown) => value == null },
  };
  const loaded = new Map<string, { exports: unknown }>();
  const dist = path.join(folder, 'dist');
  loaded.set(path.join(dist, 'nodejs_kernel_backend.js'), { exports: attributeHelpers });

  const load = (file: string): unknown => {
    const known = loaded.get(file);
    if (known) return known.exports;
    const own = { exports: {} };
    loaded.set(file, own);
    const require = (name: string): unknown => {
      if (Object.hasOwn(given, name)) return given[name];
      if (!name.startsWith('.')) throw new Error(`${file} requires ${name}, which is not expected of it.`);
      return load(path.resolve(path.dirname(file), name.endsWith('.js') ? name : `${name}.js`));
    };
    const run = vm.compileFunction(fs.readFileSync(file, 'utf8'), ['exports', 'require', 'module'], {
      filename: file,
    });
    run(own.exports, require, own);
    return own.exports;
  };
  load(path.join(dist, 'register_all_kernels.js'));
  const require = module.createRequire(path.join(folder, 'package.json'));
  return { binding: require(path.join(folder, BINDING)) as Binding, kernels };
}

/** What the kernels use of tfjs-node's own backend module: functions that make attributes. */
const attributeHelpers = {
  createTensorsTypeOpAttr(name: string, of: tfjs.Tensor | readonly tfjs.Tensor[] | string): Attribute {
    const dtype = typeof of === 'string' ? of : 'dtype' in of ? of.dtype : of[0].dtype;
    return typeAttribute(name, dtype as keyof typeof Type);
  },
  getTFDType: typeOf,
  constants,
};
