/**
 * Gives one of Node's modules, asked for at run time: the package can be imported, and bundled, where there is no Node. It
 * is undefined there.
 */
export const nodeModule: typeof process.getBuiltinModule | undefined =
  typeof process === 'undefined' ? undefined : process.getBuiltinModule?.bind(process);

/** How many threads the processor runs at once. */
export function availableThreads(): number {
  return nodeModule?.('node:os').availableParallelism() ?? 1;
}
