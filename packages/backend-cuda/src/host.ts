/**
 * One of Node's modules, asked for at run time: the package can be imported, and bundled, where there is no Node. Undefined
 * there.
 */
export function nodeModule<Name extends keyof NodeModules>(name: Name): NodeModules[Name] | undefined {
  if (typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function') return undefined;
  return process.getBuiltinModule(name) as NodeModules[Name] | undefined;
}

/** Those of Node's modules that this package uses. */
export interface NodeModules {
  'node:fs': typeof import('node:fs');
  'node:module': typeof import('node:module');
  'node:os': typeof import('node:os');
  'node:path': typeof import('node:path');
  'node:vm': typeof import('node:vm');
}

/** How many threads the processor runs at once. */
export function availableThreads(): number {
  return nodeModule('node:os')?.availableParallelism() ?? 1;
}
