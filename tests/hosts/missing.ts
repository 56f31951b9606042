import { beforeEach, inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** What these tests need and this machine lacks; empty if it has everything. */
    missing: string;
    /** Whether they fail, rather than being skipped, where it is missing: TENON_REQUIRE_ALL, which pages can't see. */
    requireAll: boolean;
  }
}

/** What a suite says that needs a GPU in a page, and has none. */
const GPU_IN_PAGE = 'a page with a WebGPU adapter (Chromium brings SwiftShader where there is no GPU)';

/** What the tests of this project need and this host lacks; empty if it has everything. */
export const missing: string = inject('missing') || (await missingInPage()) || (await missingBinding());

/** Skips the tests of a file where something is missing; throws where nothing may be skipped. */
export function skipWhereMissing(): void {
  if (missing === '') return;
  if (inject('requireAll')) {
    throw new Error(`These tests need ${missing}, and TENON_REQUIRE_ALL is set: they may not be skipped.`);
  }
  console.warn(`Skipped: needs ${missing}.`);
  beforeEach(({ skip }) => skip(`needs ${missing}`));
}

/** Whether there is a GPU only the page itself can tell. */
async function missingInPage(): Promise<string> {
  if (inject('backend') !== 'webgpu' || !('document' in globalThis)) return '';
  const { gpu } = navigator as { readonly gpu?: { requestAdapter(): Promise<object | null> } };
  return (await gpu?.requestAdapter()) ? '' : GPU_IN_PAGE;
}

/** Whether there is a binding to TensorFlow that loads. */
async function missingBinding(): Promise<string> {
  if (inject('backend') !== 'cuda') return '';
  const { cuda } = await import('@tenon-ml/backend-cuda');
  try {
    const backend = cuda({ device: process.env.TENON_CUDA_DEVICE === 'gpu' ? 'gpu' : 'cpu' });
    await backend.init();
    await backend.dispose();
    return '';
  } catch (error) {
    return `TensorFlow's binding (npm run test:cuda sets it up): ${(error as Error).message}`;
  }
}
