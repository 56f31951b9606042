import { expect, test } from 'vitest';
import { testedBackend } from '../hosts/tested_backend.js';

test('this adapter has float16 and subgroups, and init says so', async () => {
  const backend = testedBackend();
  const { features } = await backend.init();
  await backend.dispose();
  expect(features).toMatchObject({ 'shader-f16': true, subgroups: true });
});
