import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What a suite says that finds no adapter. */
export const WEBGPU = 'a GPU, or SwiftShader in its place (apt-get install chromium libvulkan1)';

/** What a suite says that finds none with `OPTIONAL`. */
export const WEBGPU_F16 =
  'a GPU with float16 and subgroups, or the lavapipe of Mesa 25 in its place (apt-get install mesa-vulkan-drivers; in Debian 12, from bookworm-backports)';

/** Features that SwiftShader doesn't have together. */
export const OPTIONAL = ['shader-f16', 'subgroups'] as const;

/** Comes with Debian's Chromium: Vulkan on the processor. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Where drivers are announced to Vulkan's loader: the user's own first. */
const MANIFESTS = [
  process.env.XDG_DATA_HOME || join(homedir(), '.local/share'),
  '/etc',
  '/usr/local/share',
  '/usr/share',
].map((folder) => join(folder, 'vulkan/icd.d'));

/**
 * Mesa's lavapipe, on the processor too, has more features. It takes some three times as long to compile a shader, so
 * that suites take up to two and a half times as long on it; what it has compiled once, it keeps on disk.
 */
const LAVAPIPE = /^lvp_icd.*\.json$/;

// In a process of its own, since Vulkan looks for drivers once.
const PROBE = `
  try {
    const { create } = await import('webgpu');
    const adapter = await create([]).requestAdapter();
    console.log(JSON.stringify(adapter === null ? 'Vulkan has no driver that Dawn takes' : [...adapter.features]));
  } catch (error) {
    console.log(JSON.stringify(String(error)));
  }
  process.exit();
`;

interface Variables {
  readonly [name: string]: string;
}

/** How Vulkan finds a GPU. */
export interface Vulkan {
  /** Variables of the environment by which it finds its driver, where it finds none by itself. */
  readonly variables: Variables;
  /** Why there is no adapter; empty if there is one. */
  readonly obstacle: string;
}

/**
 * Looks for a GPU for processes of Node that has some features: what the user chose, and nothing else; or the machine's
 * own, SwiftShader, lavapipe, in this order. `folder` is one that has `webgpu`.
 */
export async function findVulkan(folder: string, features: readonly string[] = []): Promise<Vulkan> {
  let last: Vulkan | undefined;
  for (const variables of candidates()) {
    const obstacle = await obstacleWith(folder, variables, features);
    last = { variables, obstacle };
    if (obstacle === '') break;
  }
  return last as Vulkan;
}

function candidates(): Variables[] {
  const { VK_DRIVER_FILES, VK_ICD_FILENAMES, XDG_RUNTIME_DIR } = process.env;
  // Mesa's drivers, where they are installed, complain of its absence on stderr.
  const quiet: Variables = XDG_RUNTIME_DIR ? {} : { XDG_RUNTIME_DIR: tmpdir() };
  if (VK_DRIVER_FILES || VK_ICD_FILENAMES) return [quiet];
  const softwareDrivers = [SWIFTSHADER].filter((path) => existsSync(path)).concat(lavapipe());
  return [
    { ...quiet, VK_LOADER_DRIVERS_DISABLE: 'lvp_icd*' },
    ...softwareDrivers.map((path) => ({
      ...quiet,
      VK_DRIVER_FILES: path,
      VK_ICD_FILENAMES: path,
      VK_LOADER_DRIVERS_DISABLE: '',
    })),
  ];
}

function lavapipe(): string[] {
  return MANIFESTS.filter((folder) => existsSync(folder)).flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => LAVAPIPE.test(name))
      .map((name) => join(folder, name)),
  );
}

async function obstacleWith(
  folder: string,
  variables: Variables,
  wanted: readonly string[],
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PROBE], {
      cwd: folder,
      timeout: 60_000,
      env: { ...process.env, ...variables },
    });
    const said: string | string[] = JSON.parse(stdout.trim() || '"Dawn said nothing"');
    if (typeof said === 'string') return said;
    const lacking = wanted.filter((feature) => !said.includes(feature));
    return lacking.length === 0 ? '' : `the one that was found lacks ${lacking.join(' and ')}`;
  } catch {
    return 'Dawn crashed or hung';
  }
}
