import fc from 'fast-check';
import { inject } from 'vitest';
import { skipWhereMissing } from './missing.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Cases of a property on a GPU, of which each may be a shader to compile. */
    numRuns: number;
  }
}

fc.configureGlobal({ numRuns: inject('numRuns') });

// Before Vulkan starts, which reads them once. Pages have no environment, and need none.
for (const [variable, value] of Object.entries(inject('vulkan'))) process.env[variable] = value;

skipWhereMissing();
