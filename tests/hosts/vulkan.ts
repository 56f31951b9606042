import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';

/** What a suite says that finds no adapter. */
export const WEBGPU = 'a GPU, or SwiftShader in its place (apt-get install chromium libvulkan1)';

/** Comes with Debian's Chromium: Vulkan on the processor. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

// In a process of its own, since Vulkan looks for drivers once.
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

/** How Vulkan finds a GPU. */
export interface Vulkan {
  /** Variables of the environment by which it finds its driver, where it finds none by itself. */
  readonly variables: { readonly [name: string]: string };
  /** Why there is no adapter; empty if there is one. */
  readonly obstacle: string;
}

/** Looks for a GPU for processes of Node, the machine's own if there is one; `folder` is one that has `webgpu`. */
export async function findVulkan(folder: string): Promise<Vulkan> {
  const { VK_DRIVER_FILES, VK_ICD_FILENAMES, XDG_RUNTIME_DIR } = process.env;
  // Mesa's drivers, where they are installed, complain of its absence on stderr.
  const quiet: { readonly [variable: string]: string } = XDG_RUNTIME_DIR ? {} : { XDG_RUNTIME_DIR: tmpdir() };
  const obstacle = await obstacleWith(folder, quiet);
  // What the user chose is not to be overruled.
  if (obstacle === '' || VK_DRIVER_FILES || VK_ICD_FILENAMES || !existsSync(SWIFTSHADER)) {
    return { variables: quiet, obstacle };
  }
  const variables = { ...quiet, VK_DRIVER_FILES: SWIFTSHADER, VK_ICD_FILENAMES: SWIFTSHADER };
  return { variables, obstacle: await obstacleWith(folder, variables) };
}

async function obstacleWith(folder: string, variables: { readonly [name: string]: string }): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PROBE], {
      cwd: folder,
      timeout: 60_000,
      env: { ...process.env, ...variables },
    });
    const said = stdout.trim();
    return said === 'adapter found' ? '' : said || 'Dawn said nothing';
  } catch {
    return 'Dawn crashed or hung';
  }
}
