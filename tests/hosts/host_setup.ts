import { requires } from '@tenon-ml/testkit';
import fc from 'fast-check';
import { beforeEach, inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** What these tests need and this machine lacks; empty if it has everything. */
    missing: string;
    /** The path of Node 24. */
    node24: string;
  }
}

// What the shapes do to a kernel has been looked for in the first host; here it is what the host does.
fc.configureGlobal({ numRuns: 30 });

const missing = inject('missing');
if (missing !== '' && !requires(false, missing)) {
  beforeEach(({ skip }) => skip(`needs ${missing}`));
}
