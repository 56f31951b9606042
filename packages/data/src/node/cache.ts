import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

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
