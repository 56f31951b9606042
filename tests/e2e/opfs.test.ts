import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { createKey } from '@tenon-ml/core';
import { requires } from '@tenon-ml/testkit';
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumArguments } from '../hosts/chromium_path.js';
import { CHROMIUM, chromiumPath, launchChromium } from './chromium.js';
import type * as inPage from './fixtures/opfs_in_page.js';

type Inspection = Awaited<ReturnType<typeof inPage.inspect>>;
type Filled = Awaited<ReturnType<typeof inPage.fill>>;

let server: Server;
let origin: string;
let folder: string;

describe.skipIf(!requires(chromiumPath, CHROMIUM))("the browser's storage", () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tenon-opfs-'));
    const { outputFiles } = await build({
      entryPoints: [join(import.meta.dirname, 'fixtures/opfs_in_page.ts')],
      bundle: true,
      write: false,
      platform: 'browser',
      format: 'iife',
      globalName: 'bundle',
      target: 'es2022',
      logLevel: 'silent',
    });
    // One origin for every browser of these tests: its storage is what they look at.
    server = createServer(({ url }, response) => {
      const script = url === '/bundle.js';
      response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html; charset=utf-8');
      response.end(script ? outputFiles[0].text : '<!doctype html><script src="/bundle.js"></script>');
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('a browser that is killed while it writes leaves whole files, at any instant', async () => {
    const instants = createKey(20261126).uniform([20], 0, 250).data;
    let next = 0;
    let leftovers = 0;
    let kills = 0;
    // Until one of them was in the middle of a write.
    for (const instant of instants) {
      if (kills >= 6 && leftovers > 0) break;
      kills++;
      const done = await writing(next, async (_, child) => {
        await wait(instant);
        child.kill('SIGKILL');
      });
      const { left, found } = await inspected();
      // What it said was written is there, and at most the next version, or that after one whose word was lost.
      for (const version of [found.latest, found.events, Math.max(...found.steps)]) {
        expect([done, done + 1, done + 2]).toContain(version);
      }
      leftovers += left.length - found.paths.length;
      for (const path of found.paths) expect(path).toMatch(/^(latest\.bin|events\.jsonl|steps\/\d+\.bin)$/);
      next = Math.max(found.latest, found.events) + 1;
    }
    expect(leftovers, 'kills in the middle of a write').toBeGreaterThan(0);
  }, 120_000);

  test('so does a tab that is closed, and the other tabs go on', async () => {
    const first = (await inspected()).found.latest + 1;
    let seen: Inspection | undefined;
    const done = await writing(first, async (page) => {
      await wait(100);
      const other = await page.context().newPage();
      await page.close();
      await other.goto(origin);
      seen = (await other.evaluate('bundle.inspect()')) as Inspection;
    });
    expect([done, done + 1, done + 2]).toContain(seen?.latest);
  }, 60_000);

  test('a full storage is STORAGE_FULL, keeps the old files and leaves nothing', async () => {
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.goto(origin);
      const used = (await page.evaluate('bundle.prepare()')) as number;
      const session = await page.context().newCDPSession(page);
      await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: used + 3_000_000 });
      const filled = (await page.evaluate('bundle.fill()')) as Filled;
      for (const { code, message } of filled.refused) {
        expect(code, message).toBe('STORAGE_FULL');
        expect(message).toContain('untouched');
        expect(message).toContain('Remove runs');
      }
      expect(filled.refused).toHaveLength(24);
      expect(filled.left).toEqual(['runs/full/events.jsonl', 'runs/full/weights.bin']);
      expect([filled.intact, filled.events]).toEqual([true, 'first\n']);
      expect(filled.small.code).toBe('');
      expect(filled.runs).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 60_000);
});

/** A Chromium whose process is ours to kill, over the profile that all of them share. */
async function open(): Promise<{ browser: Browser; child: ChildProcess; page: Page }> {
  const child = spawn(
    chromiumPath as string,
    [
      ...chromiumArguments,
      '--remote-debugging-port=0',
      `--user-data-dir=${join(folder, 'profile')}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  const address = await new Promise<string>((found, failed) => {
    lines.on('line', (line) => {
      const match = /DevTools listening on (ws:\S+)/.exec(line);
      if (match) found(match[1]);
    });
    child.once('exit', (code) => failed(new Error(`Chromium exited with ${code}`)));
  });
  const browser = await chromium.connectOverCDP(address);
  const page = await browser.contexts()[0].newPage();
  await page.goto(origin);
  return { browser, child, page };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Starts `writeForever` and stops it by `stop`, once a version is written; the last one that it said was done. */
async function writing(
  first: number,
  stop: (page: Page, child: ChildProcess) => Promise<void>,
): Promise<number> {
  const { browser, child, page } = await open();
  let last = -1;
  const begun = new Promise<void>((resolve) => {
    page.on('console', (message) => {
      const match = /^done (\d+)$/.exec(message.text());
      if (match) last = Number(match[1]);
      if (match) resolve();
    });
  });
  void page.evaluate(`bundle.writeForever(${first})`).catch(() => {});
  await begun;
  await stop(page, child);
  await browser.close().catch(() => {});
  child.kill('SIGKILL');
  await ended(child);
  return last;
}

/** What a browser that is started anew finds. */
async function inspected(): Promise<{ found: Inspection; left: string[] }> {
  const { browser, child, page } = await open();
  try {
    const left = (await page.evaluate('bundle.everything()')) as string[];
    return { found: (await page.evaluate('bundle.inspect()')) as Inspection, left };
  } finally {
    await browser.close();
    child.kill('SIGKILL');
    await ended(child);
  }
}
