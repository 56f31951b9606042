import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { kernelNames } from '../src/module/kernels.js';

test('the committed module is what assembly/ compiles to', () => {
  const script = join(import.meta.dirname, '../scripts/build-kernels.mjs');
  // Throws, with the message of the script, where it is stale.
  execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' });
  expect(kernelNames.length).toBeGreaterThan(1);
}, 120_000);
