import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const VERSION = '24.21.0';

/** What a suite says that doesn't find it. */
export const NODE_24 = nodeNeeded(VERSION);

/** What a suite says that doesn't find this version of Node. */
export function nodeNeeded(version: string): string {
  return `Node ${version} (npx fetches it from the npm registry, which could not be reached)`;
}

/** The path of Node 24, whose V8 is that of current browsers. This process's own Node is the oldest that we support. */
export function findNode24(): Promise<string | undefined> {
  return findNode(VERSION);
}

/** The path of a version of Node; undefined where it isn't there and the registry can't be reached. */
export async function findNode(wanted: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(
      'npx',
      ['--yes', '--prefer-offline', `node@${wanted}`, '--print', 'process.version + " " + process.execPath'],
      { timeout: 180_000, env: { ...process.env, npm_config_fetch_retries: '1' } },
    );
    const [version, ...path] = stdout.trim().split(' ');
    return version === `v${wanted}` ? path.join(' ') : undefined;
  } catch {
    return undefined;
  }
}
