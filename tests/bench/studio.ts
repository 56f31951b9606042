/**
 * `npm run bench:studio [-- --seconds 30] [-- --json]`: how fast the studio's page answers input while it trains, in a
 * real Chromium. A person's clicks and keys are played, all over the page; the browser's own Event Timing says how long
 * each took until the next frame was shown, Long Tasks what kept the page busy for more than 50 ms.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { goTo, launchBrowser, openStudio, serveStudio } from '../studio/studio.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
    data: { type: 'string', default: '../shared/data/cifar-10-batches-bin' },
  },
});
const seconds = Number(values.seconds);

/** What the page noticed, in milliseconds. */
interface Seen {
  readonly events: {
    readonly name: string;
    readonly target: string;
    readonly delay: number;
    readonly work: number;
    readonly duration: number;
  }[];
  readonly tasks: number[];
}

/** Watches a page from now on, not its load. Events of under 16 ms are told nothing of: they count as such. */
function watch(): void {
  const seen: Seen = { events: [], tasks: [] };
  Object.assign(globalThis, { seen });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as PerformanceEventTiming[]) {
      seen.events.push({
        name: entry.name,
        target: `${entry.target?.nodeName} ${entry.target?.textContent?.trim().slice(0, 24)} in ${location.hash}`,
        delay: entry.processingStart - entry.startTime,
        work: entry.processingEnd - entry.processingStart,
        duration: entry.duration,
      });
    }
  }).observe({ type: 'event', durationThreshold: 16 } as PerformanceObserverInit);
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.tasks.push(entry.duration);
  }).observe({ type: 'longtask' });
}

/** Plays a person for so many seconds; returns the number of inputs. */
async function play(page: Page, duration: number): Promise<number> {
  const until = performance.now() + 1000 * duration;
  let inputs = 0;
  const click = async (role: 'tab' | 'button' | 'link', name: string | RegExp): Promise<void> => {
    await page.getByRole(role, { name }).first().click();
    inputs++;
  };
  while (performance.now() < until) {
    for (const tab of ['Most wrong', 'Filters', 'Activations', 'Gradients', 'Confusion matrix']) {
      await click('tab', tab);
      await page.waitForTimeout(300);
    }
    await page.getByLabel('Name').click();
    await page.keyboard.type(' a', { delay: 60 });
    inputs += 3;
    await page.getByRole('textbox', { name: 'Learning rate, times' }).fill('0.9');
    inputs++;
    for (const section of ['Network', 'Data', 'Understanding', 'Take home', 'Training']) {
      await goTo(page, section);
      inputs++;
      await page.waitForTimeout(250);
      if (section !== 'Network') continue;
      await click('button', /^Move .*down|^Down/).catch(() => {});
      await click('button', /^Undo/).catch(() => {});
    }
    await page.mouse.wheel(0, 600);
    await page.waitForTimeout(100);
  }
  return inputs;
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

async function measure(name: string, begin: (page: Page) => Promise<void>) {
  const studio = await serveStudio(join(process.cwd(), 'apps/demo'));
  const browser = await launchBrowser();
  try {
    const { page } = await openStudio(browser, studio.url);
    await begin(page);
    await goTo(page, 'Training');
    await page.getByLabel('Epochs').fill('1000');
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.getByText(/^step [1-9]/).waitFor({ timeout: 120_000 });
    // What comes with the start is not what is measured.
    await page.waitForTimeout(2000);
    await page.evaluate(watch);
    const inputs = await play(page, seconds);
    const { events, tasks } = (await page.evaluate('seen')) as Seen;
    const durations = events.map((event) => event.duration).sort((a, b) => a - b);
    const worst = events.reduce((a, b) => (a && a.duration >= b.duration ? a : b), events[0]);
    return {
      name,
      inputs,
      slow: durations.length,
      over50: durations.filter((duration) => duration > 50).length,
      median: quantile(durations, 0.5),
      p95: quantile(durations, 0.95),
      max: durations.at(-1) ?? 0,
      longestDelay: Math.max(0, ...events.map(({ delay }) => delay)),
      longestWork: Math.max(0, ...events.map(({ work }) => work)),
      worst: worst ? `${worst.name} on ${worst.target}` : '',
      over: [
        ...new Set(
          events
            .filter(({ duration }) => duration > 50)
            .map(({ target, duration }) => `${target}: ${duration}`),
        ),
      ],
      longTasks: tasks.length,
      longestTask: Math.max(0, ...tasks),
      steps: (
        await page
          .getByText(/^step [\d,]+/)
          .first()
          .textContent()
      )
        ?.replace(/\s+/g, ' ')
        .trim(),
    };
  } finally {
    await browser.close();
    await studio.close();
  }
}

const workloads = {
  'digits-cnn': async () => {},
  'cifar10-cnn': async (page: Page) => {
    await page.getByRole('radio', { name: /CIFAR-10/ }).check();
    await page
      .locator('input[type=file]')
      .first()
      .setInputFiles(['data_batch_1.bin', 'test_batch.bin'].map((file) => resolve(values.data, file)));
    await page
      .getByText(/32 × 32 pixels/)
      .first()
      .waitFor({ timeout: 60_000 });
  },
};
const results = [];
for (const [name, begin] of Object.entries(workloads)) results.push(await measure(name, begin));
if (values.json) console.log(JSON.stringify({ seconds, results }));
else {
  for (const result of results) {
    console.log(`\n${result.name}: ${result.inputs} inputs in ${seconds} s while training (${result.steps})`);
    console.log(
      `  events of 16 ms and more until the next frame: ${result.slow}, of more than 50 ms: ${result.over50}`,
    );
    console.log(
      `  of those: median ${result.median} ms, 95 % ${result.p95} ms, longest ${result.max} ms (${result.worst})`,
    );
    console.log(
      `  longest wait before a handler ${result.longestDelay.toFixed(1)} ms, longest handler ${result.longestWork.toFixed(1)} ms`,
    );
    console.log(
      `  tasks of more than 50 ms: ${result.longTasks}, longest ${result.longestTask.toFixed(0)} ms`,
    );
  }
}
