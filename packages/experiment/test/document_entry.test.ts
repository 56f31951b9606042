import { expect, test, vi } from 'vitest';

// Whoever imports it fails, as a page would grow by it.
vi.mock('@tensorflow/tfjs-core', () => {
  throw new Error('tfjs-core was imported');
});

test("'./document' needs no TensorFlow.js, and the root does", async () => {
  const entry = await import('../src/document/index.js');
  expect(Object.keys(entry).sort()).toEqual([
    'documentVersion',
    'fitNetwork',
    'freeName',
    'insertLayer',
    'layerList',
    'moveLayer',
    'removeLayer',
    'replaceLayer',
  ]);
  await expect(import('../src/index.js')).rejects.toThrow();
});
