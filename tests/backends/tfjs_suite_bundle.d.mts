/** What became of the suite's specs; `failures` says of each that failed why. */
export interface SuiteResult {
  readonly passed: number;
  readonly failed: number;
  readonly pending: number;
  readonly excluded: number;
  readonly failures: readonly string[];
}

/** The suite as a script, whose `run()` gives a `SuiteResult`; see tfjs_suite_bundle.mjs. */
export function bundleSuite(platform: 'node' | 'browser', backend?: string): Promise<string>;
