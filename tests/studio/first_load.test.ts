import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { documentToText, presets } from '@tenon-ml/experiment';
import type { Browser, Page, Response } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { built, goTo, hasChromium, launchBrowser, openStudio, serveStudio } from './studio.js';

/** What a first visit may cost, without data and wasm; the budget of the requirements. */
const BUDGET = 500_000;

let studio: Awaited<ReturnType<typeof serveStudio>>;
let browser: Browser;
beforeAll(async () => {
  if (!hasChromium) return;
  studio = await serveStudio();
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await studio?.close();
});

/** The digits are to be seen: the page is ready, its worker with it. */
const ready = (page: Page): Promise<void> =>
  page.getByRole('img', { name: 'Examples of 0' }).waitFor({ timeout: 30_000 });

/** Until the service worker of the page keeps all of it. */
async function kept(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    while (active?.state !== 'activated') await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

/** An epoch of the digits, with figures of the test at its end. */
async function trainAnEpoch(page: Page): Promise<void> {
  await goTo(page, 'Training');
  await page.getByRole('textbox', { name: 'Epochs' }).fill('1');
  await page.getByRole('button', { name: 'Start training' }).click();
  await page.getByTestId('test-figures').waitFor({ timeout: 60_000 });
}

describe.skipIf(!hasChromium)('the first load of the studio', () => {
  test('says so where a part of the page is missing', async () => {
    const context = await browser.newContext({ locale: 'en-US', serviceWorkers: 'block' });
    await context.route(/worker-[^/]*\.js$/, (route) => route.fulfill({ status: 404, body: 'gone' }));
    const page = await context.newPage();
    await page.goto(studio.url);
    await page.getByRole('alert').filter({ hasText: 'A part of the studio could not be loaded' }).waitFor();
    await context.close();
  });

  test.each([
    ['the page opens by itself', async () => ''],
    ['a link holds', async () => `#e=${await documentToText(presets[0].document)}`],
  ])('what is chosen before the experiment that %s is there is not lost', async (_, hash) => {
    const context = await browser.newContext({ locale: 'en-US', serviceWorkers: 'block' });
    await context.route(/worker-[^/]*\.js$/, async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await route.continue();
    });
    const page = await context.newPage();
    await page.goto(`${studio.url}${await hash()}`);
    await page.getByRole('radio', { name: 'A table' }).check();
    await ready(page);
    expect(await page.getByRole('radio', { name: 'A table' }).isChecked()).toBe(true);
    await page
      .locator('input[type=file]')
      .first()
      .setInputFiles({
        name: 'points.csv',
        mimeType: 'text/csv',
        buffer: Buffer.from(`x,y,kind\n${'1,2,a\n2,1,b\n'.repeat(20)}`),
      });
    await page.getByText(/^40 examples/).waitFor();
    await context.close();
  });

  test('is less than 500 kB, gzipped', async () => {
    const responses: Response[] = [];
    const context = await browser.newContext({ locale: 'en-US', serviceWorkers: 'block' });
    context.on('response', (response) => responses.push(response));
    const page = await context.newPage();
    await page.goto(studio.url);
    await ready(page);
    // The browser asks for those by itself; Playwright doesn't always tell.
    const extra = ['icon.svg', 'studio.webmanifest'];
    const bodies = new Map<string, Buffer>();
    for (const response of responses) bodies.set(new URL(response.url()).pathname, await response.body());
    for (const name of extra) bodies.set(`/${name}`, await readFile(join(built, 'dist', name)));
    const sizes = [...bodies]
      .map(([path, body]) => ({ path, bytes: body.length, gzip: gzipSync(body, { level: 9 }).length }))
      .sort((a, b) => b.gzip - a.gzip);
    const total = sizes.reduce((sum, { gzip }) => sum + gzip, 0);
    // The engine's wasm and the digits lie in scripts as base64, and count here all the same.
    console.table([...sizes, { path: 'in all', bytes: 0, gzip: total }]);
    const kinds = new Set(sizes.map(({ path }) => extname(path)));
    expect([...kinds]).toEqual(expect.arrayContaining(['.js', '.css', '.svg', '.webmanifest']));
    expect(sizes.some(({ path }) => path.includes('/worker-'))).toBe(true);
    // All of it is the studio's own.
    for (const response of responses) expect(response.url().startsWith(studio.url)).toBe(true);
    expect(total).toBeLessThan(BUDGET);
    await context.close();
  });

  test('isolates the page and its workers, and keeps to the policy', async () => {
    const { context, page, complaints } = await openStudio(browser, studio.url);
    await ready(page);
    const response = await page.request.get(studio.url);
    expect(response.headers()).toMatchObject({
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(page.workers().length).toBeGreaterThan(0);
    for (const worker of page.workers()) expect(await worker.evaluate(() => crossOriginIsolated)).toBe(true);
    // The policy stands in the page: a script from elsewhere, or within it, isn't run.
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'globalThis.intruder = true;';
      document.head.append(script);
    });
    expect(await page.evaluate(() => 'intruder' in globalThis)).toBe(false);
    const refused = complaints.filter((text) => text.includes('Content Security Policy'));
    expect(refused).toHaveLength(1);
    expect(complaints).toEqual(refused);
    await context.close();
  });

  test('the headers of a host that reads _headers are the same', async () => {
    const text = await readFile(join(built, 'dist/_headers'), 'utf8');
    const { headers } = await fetch(studio.url);
    for (const line of text.split('/assets/*')[0].trim().split('\n').slice(1)) {
      const [name, value] = line.trim().split(': ');
      expect(headers.get(name), name).toBe(value);
    }
  });
});

describe.skipIf(!hasChromium)('the studio without a network', () => {
  test('trains after a reload', { timeout: 90_000 }, async () => {
    const { context, page, complaints } = await openStudio(browser, studio.url);
    await kept(page);
    await context.setOffline(true);
    await page.reload();
    await ready(page);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await trainAnEpoch(page);
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('a new build takes the place of the old one, in its folder alone', { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tenon-builds-'));
    const server = await serveFolder(folder);
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/studio/`;
    const context = await browser.newContext();
    try {
      await cp(join(built, 'dist'), join(folder, 'studio'), { recursive: true });
      await cp(join(built, 'dist'), join(folder, 'other'), { recursive: true });
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${port}/other/`);
      await kept(page);
      await page.goto(url);
      await kept(page);
      const [ours, theirs] = [await cacheOf(page, '/studio/'), await cacheOf(page, '/other/')];
      expect(ours).not.toBe(theirs);

      await rebuild(join(folder, 'studio'));
      await page.reload();
      // The new one waits until no page of the old one is open.
      await page.evaluate(async () => {
        const registration = await navigator.serviceWorker.ready;
        while (!registration.waiting) await new Promise((resolve) => setTimeout(resolve, 20));
      });
      expect(await page.content()).not.toContain('built anew');
      const comeBack = async (): Promise<boolean> => {
        await page.goto(`http://127.0.0.1:${port}/other/`);
        await page.goto(url);
        return (await page.content()).includes('built anew');
      };
      await expect.poll(comeBack, { timeout: 20_000, interval: 300 }).toBe(true);
      await kept(page);
      const now = await page.evaluate(() => caches.keys());
      expect(now).not.toContain(ours);
      expect(now).toContain(theirs);
      expect(now).toHaveLength(2);
    } finally {
      await context.close();
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** The cache that holds the page of a folder. */
const cacheOf = (page: Page, path: string): Promise<string | undefined> =>
  page.evaluate(async (wanted) => {
    for (const name of await caches.keys()) {
      const keys = await (await caches.open(name)).keys();
      if (keys.some(({ url }) => new URL(url).pathname === wanted)) return name;
    }
    return undefined;
  }, path);

/** What another build would write: a changed page, and a service worker of another version. */
async function rebuild(folder: string): Promise<void> {
  const page = join(folder, 'index.html');
  await writeFile(page, (await readFile(page, 'utf8')).replace('<body>', '<body><!-- built anew -->'));
  const worker = join(folder, 'offline.js');
  const source = await readFile(worker, 'utf8');
  const version = createHash('sha256').update(source).digest('hex').slice(0, 16);
  const changed = source.replace(/(\$\{prefix\})[0-9a-f]{16}/, `$1${version}`);
  expect(changed).not.toBe(source);
  await writeFile(worker, changed);
}

const TYPES: { readonly [extension: string]: string } = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
};

/** A plain host of static files, which lets browsers keep them for a while, as many do. */
function serveFolder(folder: string): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://host');
    const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
    readFile(join(folder, path)).then(
      (body) =>
        response
          .writeHead(200, {
            'Content-Type': TYPES[extname(path)] ?? 'text/plain',
            'Cache-Control': 'max-age=600',
          })
          .end(body),
      () => response.writeHead(404).end(),
    );
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
