import type { TestProject } from 'vitest/node';
import { findVulkan, WEBGPU } from './vulkan.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Variables of the environment by which Vulkan finds its driver, where it finds none by itself. */
    vulkan: { readonly [variable: string]: string };
  }
}

/** Once for the project `webgpu`: tells its workers which driver to use, the machine's own if there is one. */
export default async function setup(project: TestProject): Promise<void> {
  const { variables, obstacle } = await findVulkan(project.config.root);
  if (obstacle === '') project.provide('vulkan', variables);
  else project.provide('missing', `${WEBGPU}; ${obstacle}`);
}
