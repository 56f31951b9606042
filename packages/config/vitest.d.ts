import type { ViteUserConfig } from 'vitest/config';

/** The root vitest configuration: one project for each package, app and folder of tests. */
export function workspace(root: string): ViteUserConfig;
