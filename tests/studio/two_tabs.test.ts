import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { goTo, hasChromium, launchBrowser, openPage, serveStudio, stepOf } from './studio.js';
import {
  documentOf,
  oneAlert,
  openExperiment,
  outcomeOf,
  pastStep,
  startTraining,
  storedPaths,
  untilDone,
  untilStatus,
} from './trouble.js';

let studio: Awaited<ReturnType<typeof serveStudio>>;
let browser: Browser;
let context: BrowserContext;
const long = { ...documentOf('digits-mlp', { epochs: 40 }), name: 'long' };
const short = { ...documentOf('digits-mlp', { epochs: 3 }), name: 'short' };
const inUse = 'This run is open in another tab. Go on there, or close that tab first.';

beforeAll(async () => {
  if (!hasChromium) return;
  studio = await serveStudio();
  browser = await launchBrowser();
}, 300_000);
beforeEach(async () => {
  if (hasChromium) context = await browser.newContext();
});
afterEach(() => context?.close());
afterAll(async () => {
  await browser?.close();
  await studio?.close();
});

describe.skipIf(!hasChromium)('two tabs', () => {
  test('a run belongs to the tab that trains it, until that is closed', { timeout: 180_000 }, async () => {
    const alone = await browser.newContext();
    const calm = await openExperiment(alone, studio.url, long);
    await startTraining(calm.page);
    await untilDone(calm.page);
    const undisturbed = await outcomeOf(calm.page);
    await alone.close();

    const first = await openExperiment(context, studio.url, long);
    await startTraining(first.page, 60);
    await first.page.getByRole('button', { name: 'Pause' }).click();
    await untilStatus(first.page, 'Paused');
    const paused = await stepOf(first.page);

    // The second opens with what was open last, and finds it taken.
    const second = await openPage(context, `${studio.url}#training`);
    await untilStatus(second.page, 'Open in another tab');
    const epochs = second.page
      .getByRole('region', { name: 'Epochs' })
      .getByRole('rowheader', { name: /^1( |$)/ });
    await epochs.waitFor();
    await second.page.getByRole('button', { name: 'Resume' }).click();
    expect((await oneAlert(second.page)).sentence).toBe(inUse);
    await untilStatus(second.page, 'Open in another tab');
    // What it had shown is still there.
    expect(await epochs.count()).toBe(1);
    expect(await stepOf(second.page)).toBe(paused);
    await goTo(second.page, 'Take home');
    const row = second.page.getByRole('row', { name: /long/ });
    await row.getByText('open in another tab').waitFor();
    expect(await row.getByRole('button').count()).toBe(0);

    // It trains another one, beside the first.
    await first.page.getByRole('button', { name: 'Resume' }).click();
    await pastStep(first.page, paused + 1);
    await goTo(second.page, 'Training');
    await second.page.getByLabel('Name').fill('short');
    await second.page.getByRole('textbox', { name: 'Epochs' }).fill(String(short.training.epochs));
    await second.page.getByRole('textbox', { name: 'Epochs' }).blur();
    await second.page.getByRole('button', { name: 'Start another run' }).click();
    await untilDone(second.page);
    await second.page.getByText('short: Done').waitFor();

    // Closed, the first leaves its run to the second.
    await first.page.close();
    await goTo(second.page, 'Take home');
    await second.page.getByRole('button', { name: 'Open: long' }).click();
    await untilStatus(second.page, 'Paused');
    expect(await stepOf(second.page)).toBeGreaterThanOrEqual(paused);
    await second.page.getByRole('button', { name: 'Resume' }).click();
    await untilDone(second.page);
    const folders = (await storedPaths(second.page)).filter((path) => /^runs\/[^/]+$/.test(path));
    expect(folders).toHaveLength(2);
    // The first that was begun.
    const [id] = folders.map((path) => path.slice('runs/'.length)).sort();
    expect(await outcomeOf(second.page, id)).toEqual(undisturbed);
    expect([...first.complaints, ...second.complaints]).toEqual([]);
  });

  test('a tab sees what another one has made of a run meanwhile', { timeout: 120_000 }, async () => {
    const first = await openExperiment(context, studio.url, {
      ...long,
      training: { ...long.training, epochs: 8 },
    });
    await startTraining(first.page, 60);
    await first.page.getByRole('button', { name: 'Pause' }).click();
    await untilStatus(first.page, 'Paused');
    await first.page.reload();
    await untilStatus(first.page, 'Paused');
    const second = await openPage(context, `${studio.url}#training`);
    await untilStatus(second.page, 'Paused');
    await second.page.getByRole('button', { name: 'Resume' }).click();
    await untilDone(second.page);
    await second.page.close();
    await first.page.bringToFront();
    await first.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await untilDone(first.page);
    expect(await stepOf(first.page)).toBe(320);
    expect([...first.complaints, ...second.complaints]).toEqual([]);
  });

  test('both edit the experiment: the last one is there when the page is opened again', async () => {
    const first = await openExperiment(context, studio.url, short);
    const second = await openPage(context, `${studio.url}#training`);
    await first.page.getByLabel('Name').fill('mine');
    await second.page.getByLabel('Name').fill('yours');
    await second.page.getByRole('textbox', { name: 'Epochs' }).fill('5');
    await second.page.getByRole('textbox', { name: 'Epochs' }).blur();
    await first.page.getByRole('textbox', { name: 'Epochs' }).fill('2');
    await first.page.getByRole('textbox', { name: 'Epochs' }).blur();
    // Browsers tell their tabs of it in their own time.
    const kept = (): Promise<string> =>
      second.page.evaluate(() => Object.values(localStorage).find((value) => value.includes('"document"')));
    await expect
      .poll(async () => JSON.parse(await kept()).document)
      .toMatchObject({
        name: 'mine',
        training: { epochs: 2 },
      });
    const third = await openPage(context, `${studio.url}#training`);
    await expect.poll(() => third.page.getByLabel('Name').inputValue()).toBe('mine');
    expect(await third.page.getByRole('textbox', { name: 'Epochs' }).inputValue()).toBe('2');
    // Each goes on with its own.
    await startTraining(second.page);
    await untilDone(second.page);
    await second.page.getByText('yours: Done').waitFor();
    expect(await stepOf(second.page)).toBe(200);
    expect([...first.complaints, ...second.complaints, ...third.complaints]).toEqual([]);
  });
});
