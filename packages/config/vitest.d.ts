import type { TestProjectInlineConfiguration, ViteUserConfig } from 'vitest/config';

/** The root vitest configuration: one project for each package, app and folder of tests, and the `further` ones. */
export function workspace(root: string, further?: readonly TestProjectInlineConfiguration[]): ViteUserConfig;
