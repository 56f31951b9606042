import { existsSync } from 'node:fs';

/** Where a Chromium is installed: `CHROMIUM_PATH`, or where Debian and others put it; undefined if nowhere. */
export const chromiumPath: string | undefined = [
  process.env.CHROMIUM_PATH ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => path !== '' && existsSync(path));

/** What a suite says that finds none. */
export const CHROMIUM = 'Chromium (apt-get install chromium, or set CHROMIUM_PATH)';

/** Arguments of a headless Chromium that talks to nobody. */
export const chromiumArguments: readonly string[] = [
  '--no-sandbox',
  '--headless',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Arguments of one whose pages have WebGPU on SwiftShader. */
export const gpuArguments: readonly string[] = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  // See backend-webgpu's adapter.ts: it makes SwiftShader compile in a twentieth of the time.
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
];
