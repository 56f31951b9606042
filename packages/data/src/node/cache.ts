import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type Checksum, type DownloadOptions, downloadFile, isIntact } from './download.js';

/**
 * Where downloaded data is kept: `tenon` in $XDG_CACHE_HOME, or in the cache folder that the system has for it
 * (~/.cache, ~/Library/Caches, %LOCALAPPDATA%). As the XDG specification says, a relative path in the variable counts as
 * none.
 */
export function cacheFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = environment;
  if (xdg && isAbsolute(xdg)) return join(xdg, 'tenon');
  if (platform === 'win32') return join(local ?? join(homedir(), 'AppData', 'Local'), 'tenon', 'cache');
  return join(homedir(), platform === 'darwin' ? 'Library/Caches' : '.cache', 'tenon');
}

export interface CachedDownloadOptions extends Pick<DownloadOptions, 'onProgress' | 'signal'> {
  /** The file's name in the cache. */
  readonly name: string;
  readonly checksum: Checksum;
  /** The folder that downloads are kept in; `cacheFolder()` by default. */
  readonly cache?: string;
}

/**
 * The path of a file in the cache, which is downloaded where it isn't there or hasn't the checksum. Throws as
 * `downloadFile` does.
 */
export async function cachedDownload(url: string, options: CachedDownloadOptions): Promise<string> {
  const { name, checksum, cache = cacheFolder(), ...rest } = options;
  const path = join(cache, name);
  if (!(await isIntact(path, checksum))) await downloadFile(url, { ...rest, path, checksum });
  return path;
}
