import { afterEach, expect, it, vi } from 'vitest';
import { listFolders, opfsStore, removeTree, storageEstimate } from '../src/browser/index.js';
import { expectError } from './support.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

it.each([
  ['no navigator', undefined],
  ['a navigator without storage', {}],
  ['a page that is not secure', { storage: undefined, locks: undefined }],
  ['a browser without an origin private file system', { storage: { estimate: () => {} }, locks: {} }],
])('./browser can be imported anywhere, and says where it finds %s', async (_, navigator) => {
  vi.stubGlobal('navigator', navigator);
  for (const f of [
    () => opfsStore('runs/1'),
    () => listFolders('runs'),
    () => removeTree('runs/1'),
    () => storageEstimate(),
  ]) {
    const error = await expectError(f, 'STORAGE_FAILED', 'over https or from localhost');
    expect(error.where).toBe("the browser's storage");
  }
});
