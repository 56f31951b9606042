import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { SuiteResult } from './tfjs_suite_bundle.mjs';

export const TIMEOUT = 300_000;

export function expectAllPassed({ passed, failed, failures }: SuiteResult): void {
  expect(failures).toEqual([]);
  expect(failed).toBe(0);
  // tfjs-core 4.22 has some 4,200 specs.
  expect(passed).toBeGreaterThan(4000);
}

/** Runs tfjs-core's suite in a process of its own, on a backend by its name (wasm where none is given). */
export async function runInNode(
  node: string,
  backend?: string,
  variables: NodeJS.ProcessEnv = {},
): Promise<SuiteResult> {
  const script = join(import.meta.dirname, 'tfjs_suite.mjs');
  const output = await new Promise<string>((done, fail) => {
    const options = { timeout: TIMEOUT, maxBuffer: 2 ** 26, env: { ...process.env, ...variables } };
    execFile(node, [script, ...(backend ? [backend] : []), '--json'], options, (_, stdout, stderr) => {
      // A suite with failures exits with 1, and still says what they are.
      if (stdout.trimEnd().endsWith('}')) done(stdout);
      else fail(new Error(`The suite did not end:\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`));
    });
  });
  return JSON.parse(output.trimEnd().split('\n').at(-1) as string);
}
