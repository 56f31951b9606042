import type { TestProject } from 'vitest/node';
import { findNode24, NODE_24 } from './node24.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The path of Node 24. */
    node24: string;
  }
}

/** Once for the project `node24`: tells its workers where Node 24 is. */
export default async function setup(project: TestProject): Promise<void> {
  const path = await findNode24();
  project.provide('node24', path ?? '');
  if (path === undefined) project.provide('missing', NODE_24);
}
