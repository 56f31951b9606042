import fc from 'fast-check';
import { skipWhereMissing } from './missing.js';

// What the shapes do to a kernel has been looked for in the first host; here it is what the host does.
fc.configureGlobal({ numRuns: 30 });

skipWhereMissing();
