import type { TestProject } from 'vitest/node';
import { findVulkan, OPTIONAL, WEBGPU_F16 } from './vulkan.js';

/** Once for the project `webgpu-f16`: tells its workers which driver has these features. */
export default async function setup(project: TestProject): Promise<void> {
  const { variables, obstacle } = await findVulkan(project.config.root, OPTIONAL);
  if (obstacle === '') project.provide('vulkan', variables);
  else project.provide('missing', `${WEBGPU_F16}; ${obstacle}`);
}
