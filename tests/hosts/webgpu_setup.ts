import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Variables of the environment by which Vulkan finds its driver, where it finds none by itself. */
    vulkan: { readonly [variable: string]: string };
  }
}

/** What a suite says that finds no adapter. */
const WEBGPU = 'a GPU, or SwiftShader in its place (apt-get install chromium libvulkan1)';

/** Comes with Debian's Chromium: Vulkan on the processor. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

// In a process of its own, since Vulkan looks for drivers once, and Dawn is not known to always let a process end.
const PROBE = `
  try {
    const { create } = await import('webgpu');
    const adapter = await create([]).requestAdapter();
    console.log(adapter === null ? 'Vulkan has no driver that Dawn takes' : 'adapter found');
  } catch (error) {
    console.log(String(error));
  }
  process.exit();
`;

/** Why there is no adapter; empty if there is one. */
async function obstacle(root: string, variables: { readonly [name: string]: string }): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PROBE], {
      cwd: root,
      timeout: 60_000,
      env: { ...process.env, ...variables },
    });
    const said = stdout.trim();
    return said === 'adapter found' ? '' : said || 'Dawn said nothing';
  } catch {
    return 'Dawn crashed or hung';
  }
}

/** Once for the project `webgpu`: tells its workers which driver to use, the machine's own if there is one. */
export default async function setup(project: TestProject): Promise<void> {
  const { root } = project.config;
  let reason = await obstacle(root, {});
  if (reason === '') return;
  // What the user chose is not to be overruled.
  const { VK_DRIVER_FILES, VK_ICD_FILENAMES } = process.env;
  if (!VK_DRIVER_FILES && !VK_ICD_FILENAMES && existsSync(SWIFTSHADER)) {
    const swiftShader = { VK_DRIVER_FILES: SWIFTSHADER, VK_ICD_FILENAMES: SWIFTSHADER };
    reason = await obstacle(root, swiftShader);
    if (reason === '') project.provide('vulkan', swiftShader);
  }
  if (reason !== '') project.provide('missing', `${WEBGPU}; ${reason}`);
}
