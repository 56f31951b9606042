import fc from 'fast-check';
import { inject } from 'vitest';
import { skipWhereMissing } from './missing.js';

// Each new shape may be a shader to compile, which takes SwiftShader some 20 ms. What the shapes do to a kernel is looked
// for in Node; in a page, what the page does.
fc.configureGlobal({ numRuns: typeof document === 'undefined' ? 25 : 8 });

// Before Vulkan starts, which reads them once. Pages have no environment, and need none.
for (const [variable, value] of Object.entries(inject('vulkan'))) process.env[variable] = value;

skipWhereMissing();
