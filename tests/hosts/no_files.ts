/** In the place of node:fs in a browser: testkit's goldens are read from files, which tests for all hosts don't use. */
export function readFileSync(path: unknown): never {
  throw new Error(`A page reads no files: ${String(path)}.`);
}
