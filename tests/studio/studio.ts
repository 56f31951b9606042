import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { requires } from '@tenon-ml/testkit';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { preview } from 'vite';
import { CHROMIUM, chromiumArguments, chromiumPath, gpuArguments } from '../hosts/chromium_path.js';

const built = join(import.meta.dirname, '../../apps/demo');

/** Whether there is a browser for the studio. */
export const hasChromium: boolean = requires(chromiumPath, CHROMIUM);

/** The studio as it was built, served as `npm run demo` does. */
export async function serveStudio(app = built): Promise<{ readonly url: string; close(): Promise<void> }> {
  if (!existsSync(join(app, 'dist/index.html'))) throw new Error('apps/demo is not built: npm run build');
  const server = await preview({ root: app, logLevel: 'silent', preview: { port: 0, host: '127.0.0.1' } });
  const url = server.resolvedUrls?.local[0];
  if (!url) throw new Error('The server has no address.');
  return { url, close: () => server.close() };
}

/** A browser whose pages have WebGPU, by software. */
export function launchBrowser(args: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    args: [...chromiumArguments, ...gpuArguments, ...args],
  });
}

/** A page of the studio, and what it complained of. */
export interface OpenStudio {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Uncaught errors, and errors on the console. */
  readonly complaints: string[];
}

/** Opens the studio in a profile of its own; it is ready when this resolves. */
export async function openStudio(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<OpenStudio> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const { page, complaints } = await openPage(context, url);
  return { context, page, complaints };
}

/** Another page of the same profile. */
export async function openPage(
  context: BrowserContext,
  url: string,
): Promise<{ readonly page: Page; readonly complaints: string[] }> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(url);
  await page.getByRole('heading', { level: 1 }).waitFor();
  return { page, complaints };
}

/** Goes to a section by its link, as a person does. */
export async function goTo(page: Page, section: string): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name: section }).click();
  await page.getByRole('heading', { level: 1, name: section }).waitFor();
}

/** The step that the progress tells. */
export async function stepOf(page: Page): Promise<number> {
  const text = await page.getByText(/^step [\d,]+ of/).textContent();
  return Number(/step ([\d,]+)/.exec(text ?? '')?.[1].replaceAll(',', ''));
}

/** Draws on the pad, with the mouse: places from 0 to 1. */
export async function draw(
  page: Page,
  strokes: readonly (readonly (readonly [number, number])[])[],
): Promise<void> {
  const pad = page.locator('canvas[tabindex]').first();
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  if (!box) throw new Error('The drawing pad is not to be seen.');
  for (const [first, ...rest] of strokes) {
    await page.mouse.move(box.x + first[0] * box.width, box.y + first[1] * box.height);
    await page.mouse.down();
    for (const [x, y] of rest)
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 4 });
    await page.mouse.up();
  }
}
