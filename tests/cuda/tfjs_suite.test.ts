import { test } from 'vitest';
import { expectAllPassed, runInNode, TIMEOUT } from '../backends/tfjs_suite_run.js';

test('tfjs-core’s own suite passes on TensorFlow, but for what is named in tfjs_suite_bundle.mjs', {
  timeout: TIMEOUT,
}, async () => {
  expectAllPassed(await runInNode(process.execPath, 'cuda'));
});
