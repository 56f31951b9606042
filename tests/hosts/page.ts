import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';

/** Files of a page by their path, with the text of each; `/` is an empty page that loads them in order. */
export interface PageFiles {
  readonly [path: `/${string}.js`]: string;
}

export interface PageOptions {
  /** Whether the page is cross-origin isolated: only then may it send shared memory to workers. */
  readonly isolated: boolean;
}

/** Opens a page on a server of its own; what the page throws, and says on its console as an error, is in `complaints`. */
export async function withPage<T>(
  browser: Browser,
  files: PageFiles,
  { isolated }: PageOptions,
  use: (page: Page, complaints: readonly string[]) => Promise<T>,
): Promise<T> {
  const scripts = Object.keys(files).map((path) => `<script src="${path}"></script>`);
  const server = createServer(({ url = '/' }, response) => {
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    const script = files[url as `/${string}.js`];
    if (script === undefined && url !== '/') response.writeHead(404).end();
    else if (script !== undefined) response.setHeader('Content-Type', 'text/javascript').end(script);
    else
      response
        .setHeader('Content-Type', 'text/html; charset=utf-8')
        .end(`<!doctype html><link rel="icon" href="data:,">${scripts.join('')}`);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const page = await browser.newPage();
  try {
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return await use(page, complaints);
  } finally {
    await page.close();
    server.close();
  }
}
