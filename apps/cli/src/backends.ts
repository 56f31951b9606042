import { wasm } from '@tenon-ml/backend-wasm';
import { type Backend, type Selection, selectBackend, unknownName } from '@tenon-ml/core';

/** The backends that this release has, best first: what `--backend auto` tries in turn. */
const makers: { readonly [name: string]: () => Backend } = { wasm };

export const backendNames: readonly string[] = ['auto', ...Object.keys(makers)];

/** Starts a backend by name. Throws `UNKNOWN_NAME`, or `BACKEND_UNAVAILABLE` with the reason. */
export async function startBackend(name: string): Promise<Selection> {
  if (name === 'auto') return selectBackend(Object.values(makers).map((make) => make()));
  if (!Object.hasOwn(makers, name)) throw unknownName('backend', name, backendNames, '--backend');
  return selectBackend([makers[name]()]);
}
