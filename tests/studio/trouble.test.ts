import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumArguments, chromiumPath } from '../hosts/chromium_path.js';
import { goTo, hasChromium, launchBrowser, openPage, serveStudio, stepOf } from './studio.js';
import {
  alerts,
  documentOf,
  type Outcome,
  oneAlert,
  openExperiment,
  outcomeOf,
  protocol,
  startTraining,
  untilDone,
  untilStatus,
} from './trouble.js';

/** How long a tab is hidden, in milliseconds: TENON_SLOW=1 waits for what browsers do only after a minute. */
const hidden = process.env.TENON_SLOW ? 65_000 : 4000;

let studio: Awaited<ReturnType<typeof serveStudio>>;
let browser: Browser;
// Long enough to be in its middle for all that time.
const epochs = process.env.TENON_SLOW ? 450 : 25;
const document = documentOf('digits-mlp', { epochs });
const steps = epochs * 40;
/** What the experiment comes to where nothing disturbs it. */
let undisturbed: Outcome;

beforeAll(async () => {
  if (!hasChromium) return;
  studio = await serveStudio();
  browser = await launchBrowser();
  undisturbed = await train(async () => {});
  expect(undisturbed.steps.map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await studio?.close();
});

/** Trains in a profile of its own; `disturb` is called in the middle. */
async function train(disturb: (page: Page, context: BrowserContext) => Promise<void>): Promise<Outcome> {
  const context = await browser.newContext();
  try {
    const { page, complaints } = await openExperiment(context, studio.url, document);
    await startTraining(page, 60);
    await disturb(page, context);
    await untilDone(page);
    expect(await stepOf(page)).toBe(steps);
    // The page was told of every epoch.
    const table = page.getByRole('table').filter({ has: page.getByRole('columnheader', { name: 'Epoch' }) });
    expect(await table.getByRole('row').count()).toBe(epochs + 1);
    expect(complaints).toEqual([]);
    return await outcomeOf(page);
  } finally {
    await context.close();
  }
}

describe.skipIf(!hasChromium)('a tab that nobody looks at', () => {
  test('frozen, then woken: it goes on, and ends as one that never was', { timeout: 600_000 }, async () => {
    const outcome = await train(async (page) => {
      const cdp = await protocol(page);
      await cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
      await new Promise((resolve) => setTimeout(resolve, hidden));
      await cdp.send('Page.setWebLifecycleState', { state: 'active' });
    });
    expect(outcome).toEqual(undisturbed);
  });

  test('behind another one', { timeout: 600_000 }, async () => {
    const outcome = await train(async (page, context) => {
      const other = await context.newPage();
      await other.bringToFront();
      await new Promise((resolve) => setTimeout(resolve, hidden));
      await page.bringToFront();
    });
    expect(outcome).toEqual(undisturbed);
  });
});

describe.skipIf(!hasChromium)('a browser that is killed', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tenon-killed-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

  test('in the middle of a training: it is listed as paused, and ends the same', {
    timeout: 600_000,
  }, async () => {
    const first = await start(folder);
    const opened = await openExperiment(first.context, studio.url, document);
    await startTraining(opened.page, 120);
    process.kill(-(first.process.pid as number), 'SIGKILL');
    await first.gone;

    const second = await start(folder);
    const { page, complaints } = await openPage(second.context, studio.url);
    await goTo(page, 'Take home');
    await page.getByRole('button', { name: 'Open: digits-mlp' }).click();
    await untilStatus(page, 'Paused');
    const step = await stepOf(page);
    expect(step).toBeGreaterThanOrEqual(100);
    expect(step).toBeLessThan(steps);
    await page.getByRole('button', { name: 'Resume' }).click();
    await untilDone(page);
    expect(await outcomeOf(page)).toEqual(undisturbed);
    expect(complaints).toEqual([]);
    await second.context.browser()?.close();
    process.kill(-(second.process.pid as number), 'SIGKILL');
  });
});

/** A browser in a process group of its own, with a profile that outlives it. */
async function start(profile: string): Promise<{
  readonly process: ChildProcess;
  readonly context: BrowserContext;
  readonly gone: Promise<void>;
}> {
  const child = spawn(
    chromiumPath as string,
    [...chromiumArguments, '--remote-debugging-port=0', `--user-data-dir=${profile}`],
    { detached: true, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const endpoint = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stderr?.on('data', (data) => {
      said += data;
      const found = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
      if (found) resolve(found);
    });
    child.once('exit', () => reject(new Error(said)));
  });
  const connected = await chromium.connectOverCDP(endpoint);
  return { process: child, context: connected.contexts()[0], gone };
}

describe.skipIf(!hasChromium)('a graphics processor that is lost', () => {
  const onGpu = documentOf('digits-mlp', { epochs: 4, batchSize: 64 });
  const open = async (): Promise<{ page: Page; context: BrowserContext; complaints: string[] }> => {
    const context = await browser.newContext();
    const { page, complaints } = await openExperiment(context, studio.url, onGpu);
    await page.getByLabel('Computes on').selectOption('webgpu');
    return { page, context, complaints };
  };

  test('in the middle of a training', { timeout: 600_000 }, async () => {
    const calm = await open();
    await startTraining(calm.page);
    await untilDone(calm.page);
    const expected = await outcomeOf(calm.page);
    await calm.context.close();

    const { page, context, complaints } = await open();
    await startTraining(page, 25);
    const cdp = await browser.newBrowserCDPSession();
    await cdp.send('Browser.crashGpuProcess').catch(() => {});
    await untilStatus(page, 'Failed');
    const told = await oneAlert(page);
    expect(told.sentence).toMatch(/^The graphics processor was lost/);
    await page.getByRole('button', { name: 'Go on from the last checkpoint' }).click();
    await untilDone(page);
    await page.getByText(/^webgpu – /).waitFor();
    const outcome = await outcomeOf(page);
    expect(outcome.steps.map(({ step }) => step)).toEqual(expected.steps.map(({ step }) => step));
    expect(outcome.test?.accuracy).toBe(expected.test?.accuracy);
    expect(Math.abs(Number(outcome.test?.loss) - Number(expected.test?.loss))).toBeLessThan(1e-6);
    expect(complaints).toEqual([]);

    // Lost again once it is done, and once more while it is asked: what is asked of the model is answered.
    await cdp.send('Browser.crashGpuProcess').catch(() => {});
    await goTo(page, 'Understanding');
    await page.getByRole('tab', { name: 'An example' }).click();
    await page.getByRole('button', { name: 'Another example' }).click();
    await page.getByText(/^It says: /).waitFor();
    await cdp.send('Browser.crashGpuProcess').catch(() => {});
    await goTo(page, 'Data');
    await goTo(page, 'Understanding');
    await page.getByRole('tab', { name: 'An example' }).click();
    await page.getByRole('button', { name: 'Another example' }).click();
    await page.getByText(/^It says: /).waitFor();
    expect(await alerts(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
