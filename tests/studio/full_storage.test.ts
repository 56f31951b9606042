import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { goTo, hasChromium, launchBrowser, serveStudio, stepOf } from './studio.js';
import {
  documentOf,
  dropFiles,
  type Outcome,
  oneAlert,
  openExperiment,
  outcomeOf,
  protocol,
  startTraining,
  storedPaths,
  untilDone,
  untilStatus,
} from './trouble.js';

let studio: Awaited<ReturnType<typeof serveStudio>>;
let browser: Browser;
let folder: string;
let undisturbed: Outcome;
let context: BrowserContext;
let page: Page;
let complaints: string[];
const document = documentOf('digits-mlp', { epochs: 16 });

beforeAll(async () => {
  if (!hasChromium) return;
  folder = await mkdtemp(join(tmpdir(), 'tenon-full-'));
  studio = await serveStudio();
  browser = await launchBrowser();
  await open();
  await startTraining(page);
  await untilDone(page);
  undisturbed = await outcomeOf(page);
  await context.close();
}, 300_000);
beforeEach(async () => {
  if (hasChromium) await open();
});
afterEach(() => context?.close());
afterAll(async () => {
  await browser?.close();
  await studio?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<void> {
  context = await browser.newContext();
  ({ page, complaints } = await openExperiment(context, studio.url, document));
}

/** From now on the studio may store so many bytes; as many as the browser likes by default. */
async function allow(bytes?: number): Promise<void> {
  const origin = new URL(studio.url).origin;
  await (await protocol(page)).send('Storage.overrideQuotaForOrigin', {
    origin,
    ...(bytes !== undefined && { quotaSize: bytes }),
  });
}

const full = /^The storage that the browser gives this page is full/;

describe.skipIf(!hasChromium)('a storage that is full', () => {
  test('in the middle of a training: it waits, and nothing is lost', { timeout: 120_000 }, async () => {
    await startTraining(page, 60);
    await allow(1000);
    await untilStatus(page, 'Paused');
    expect((await oneAlert(page)).sentence).toMatch(full);
    const step = await stepOf(page);
    const checkpoints = (await storedPaths(page)).filter((path) => /checkpoints\/step-\d+\.s/.test(path));
    expect(checkpoints.length).toBeGreaterThan(0);

    // Tried again while it is as full as before, it says so once more.
    await page.getByRole('button', { name: 'Resume' }).click();
    expect((await oneAlert(page)).sentence).toMatch(full);
    await untilStatus(page, 'Paused');
    expect(await stepOf(page)).toBe(step);

    // What is in memory can be taken home, and asked.
    await goTo(page, 'Take home');
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download the model' }).click();
    const zip = join(folder, 'full.zip');
    await (await downloading).saveAs(zip);
    await dropFiles(page, [zip]);
    await page.getByRole('heading', { level: 1, name: 'Understanding' }).waitFor();
    await page
      .getByText(/full\b/)
      .first()
      .waitFor();

    await allow();
    await goTo(page, 'Training');
    await page.getByRole('button', { name: 'Resume' }).click();
    await untilDone(page);
    expect(await outcomeOf(page)).toEqual(undisturbed);
    expect(complaints).toEqual([]);
  });

  test('the page is closed meanwhile: the last checkpoint is whole', { timeout: 120_000 }, async () => {
    await startTraining(page, 60);
    await allow(1000);
    await untilStatus(page, 'Paused');
    await page.reload();
    await untilStatus(page, 'Paused');
    await allow();
    await page.getByRole('button', { name: 'Resume' }).click();
    await untilDone(page);
    expect(await outcomeOf(page)).toEqual(undisturbed);
  });

  test('stopped meanwhile: it goes on from the last checkpoint', { timeout: 120_000 }, async () => {
    await startTraining(page, 60);
    await allow(1000);
    await untilStatus(page, 'Paused');
    await page.getByRole('button', { name: 'Stop' }).click();
    await untilStatus(page, 'Failed');
    await oneAlert(page);
    await allow();
    await page.getByRole('button', { name: 'Go on from the last checkpoint' }).click();
    await untilDone(page);
    expect(await outcomeOf(page)).toEqual(undisturbed);
    expect(complaints).toEqual([]);
  });

  test('from the beginning on: it waits for its first step', { timeout: 120_000 }, async () => {
    await allow(10);
    await page.getByRole('button', { name: 'Start training' }).click();
    await untilStatus(page, 'Paused');
    expect((await oneAlert(page)).sentence).toMatch(full);
    expect(await storedPaths(page)).toEqual([]);
    await page.getByRole('button', { name: 'Stop' }).click();
    await untilStatus(page, 'Failed');
    await allow();
    await page.getByRole('button', { name: 'Go on from the last checkpoint' }).click();
    await untilDone(page);
    expect(await outcomeOf(page)).toEqual(undisturbed);
    expect(complaints).toEqual([]);
  });

  test('while files are brought in: what was open stays, and no half of them', {
    timeout: 60_000,
  }, async () => {
    await goTo(page, 'Data');
    const path = join(folder, 'table.csv');
    const rows = Array.from({ length: 2000 }, (_, i) => `${i % 7},${i % 3},${i % 2 ? 'odd' : 'even'}`);
    await writeFile(path, `a,b,parity\n${rows.join('\n')}\n`);
    await allow(1000);
    await dropFiles(page, [path]);
    expect((await oneAlert(page)).sentence).toMatch(full);
    expect(await storedPaths(page)).toEqual([]);
    await page.getByText('1,797').first().waitFor();
    await allow();
    await dropFiles(page, [path]);
    await page
      .getByText(/2,000 examples/)
      .first()
      .waitFor();
    expect(complaints).toEqual([]);
  });
});
