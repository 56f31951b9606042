import { wasm } from '@tenon-ml/backend-wasm';
import { webgpu } from '@tenon-ml/backend-webgpu';
import { type Backend, type Selection, selectBackend, unknownName } from '@tenon-ml/core';

/**
 * The backends that this release has, in the order in which `--backend auto` tries them: wasm runs everywhere and has
 * been measured; a GPU is for those who ask for it, until it has been measured on enough of them.
 */
const makers: { readonly [name: string]: () => Backend } = { wasm, webgpu };

export const backendNames: readonly string[] = ['auto', ...Object.keys(makers)];

/** Starts a backend by name. Throws `UNKNOWN_NAME`, or `BACKEND_UNAVAILABLE` with the reason. */
export async function startBackend(name: string): Promise<Selection> {
  if (name === 'auto') return selectBackend(Object.values(makers).map((make) => make()));
  if (!Object.hasOwn(makers, name)) throw unknownName('backend', name, backendNames, '--backend');
  return selectBackend([makers[name]()]);
}
