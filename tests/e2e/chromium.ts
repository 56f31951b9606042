import { type Browser, chromium } from 'playwright-core';
import { chromiumArguments, chromiumPath } from '../hosts/chromium_path.js';

export { CHROMIUM, chromiumPath } from '../hosts/chromium_path.js';

/** A headless Chromium that talks to nobody. */
export function launchChromium(args: readonly string[] = []): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath, args: [...chromiumArguments, ...args] });
}
