import { createRequire } from 'node:module';
import type axe from 'axe-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pageStates } from './states.js';
import { goTo, hasChromium, launchBrowser, openStudio, serveStudio } from './studio.js';

import { foreignWords } from './words.js';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'];

type Scheme = 'light' | 'dark';
interface Look {
  readonly scheme: Scheme;
  readonly language: 'en' | 'zh';
  readonly size: 'desktop' | 'phone';
}
/** Every theme with every language, every language at every size, every size in every theme. */
const LOOKS: readonly Look[] = [
  { scheme: 'light', language: 'en', size: 'desktop' },
  { scheme: 'dark', language: 'en', size: 'phone' },
  { scheme: 'dark', language: 'zh', size: 'desktop' },
  { scheme: 'light', language: 'zh', size: 'phone' },
];
/** What runs, classes, columns and files are called here. */
const NAMED = [
  /(digits-cnn|table-mlp|text-gpt)/g,
  /Class \d/g,
  /\b(flowers|petal|stem|kind|rose|tulip|fox)\b/g,
];
const SIZES = { desktop: { width: 1200, height: 900 }, phone: { width: 390, height: 844 } } as const;

let studio: Awaited<ReturnType<typeof serveStudio>>;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let complaints: readonly string[];
beforeAll(async () => {
  if (!hasChromium) return;
  studio = await serveStudio();
  browser = await launchBrowser();
  // The policy of the page lets no script in from elsewhere, axe among them.
  ({ context, page, complaints } = await openStudio(browser, studio.url, { bypassCSP: true }));
  await page.addScriptTag({ path: axePath });
  // What has scrolled under the bar of sections isn't smaller for it.
  await page.addStyleTag({ content: 'nav { position: static !important; }' });
});
afterAll(async () => {
  await context?.close();
  await browser?.close();
  await studio?.close();
});

const languageChoice = (): ReturnType<Page['locator']> => page.locator('header select').first();

async function show({ scheme, language, size }: Look): Promise<void> {
  await page.emulateMedia({ colorScheme: scheme });
  await page.setViewportSize(SIZES[size]);
  if ((await languageChoice().inputValue()) !== language) await languageChoice().selectOption(language);
}

/** What axe objects to, a line for each element. */
async function violations(look: Look): Promise<string[]> {
  const results = await page.evaluate(
    (tags) =>
      (globalThis as unknown as { axe: typeof axe }).axe.run(document, {
        runOnly: { type: 'tag', values: tags },
        resultTypes: ['violations'],
      }),
    TAGS,
  );
  const { scheme, language, size } = look;
  return results.violations.flatMap(({ id, nodes }) =>
    nodes.map(
      ({ target, failureSummary }) =>
        `${scheme}, ${language}, ${size}: ${id} at ${target.join(' ')}: ${failureSummary?.replace(/\s+/g, ' ')}`,
    ),
  );
}

/** What stands out of a page of 360 pixels. */
async function tooWide(): Promise<string[]> {
  await page.setViewportSize({ width: 360, height: 800 });
  return page.evaluate(async () => {
    // Charts are drawn anew for another width.
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const out = [...document.querySelectorAll('main *')].filter(
      (element) => element.getBoundingClientRect().right > clientWidth + 0.5,
    );
    return [
      `the page is ${scrollWidth} pixels wide`,
      ...out
        .slice(0, 8)
        .map(
          ({ tagName, className, textContent }) => `${tagName} ${className}: ${textContent?.slice(0, 60)}`,
        ),
    ];
  });
}

/** What moves by itself for longer than a blink although the reader asked for rest. */
const moving = (): Promise<string[]> =>
  page.evaluate(() =>
    [...document.querySelectorAll('*')]
      .filter((element) => {
        const { animationName, transitionDuration } = getComputedStyle(element);
        return (
          animationName !== 'none' ||
          transitionDuration.split(', ').some((time) => Number.parseFloat(time) > 0)
        );
      })
      .map(({ tagName, className }) => `${tagName} ${className}`),
  );

describe.skipIf(!hasChromium)('the studio, for everybody', () => {
  test.each(pageStates)('$name', { timeout: 120_000 }, async ({ open }) => {
    await open(page);
    const found: string[] = [];
    for (const look of LOOKS) {
      await show(look);
      found.push(...(await violations(look)));
      if (look.language === 'zh')
        found.push(...(await foreignWords(page, NAMED)).map((line) => `in Chinese: ${line}`));
    }
    for (const language of ['zh', 'en'] as const) {
      await show({ scheme: 'light', language, size: 'desktop' });
      found.push(...(await tooWide()).map((line) => `360 pixels, ${language}: ${line}`));
    }
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
    found.push(...(await moving()).map((line) => `moves: ${line}`));
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    await page.setViewportSize(SIZES.desktop);
    expect(found.join('\n')).toBe('');
    expect(complaints).toEqual([]);
  });

  test('in the reader’s own colours, what is chosen and how much still show', async () => {
    await page.evaluate(() => {
      location.hash = 'understanding';
    });
    await page.emulateMedia({ forcedColors: 'active' });
    const border = (selector: string): Promise<string> =>
      page
        .locator(selector)
        .first()
        .evaluate((element) => getComputedStyle(element).borderBottomColor);
    expect(await border('nav a[aria-current]')).not.toBe(await border('nav a:not([aria-current])'));
    await goTo(page, 'Training');
    expect(await border('[aria-selected=true]')).not.toBe(await border('[aria-selected=false]'));
    await goTo(page, 'Data');
    await page.getByRole('radio', { name: /^Digits/ }).check();
    const bar = page.getByRole('list', { name: 'Examples of each class' }).locator('li > span').nth(1);
    const colour = (element: Element): string => getComputedStyle(element).backgroundColor;
    const [track, fill] = [await bar.evaluate(colour), await bar.locator('span').evaluate(colour)];
    expect(fill).not.toBe(track);
    await page.emulateMedia({ forcedColors: 'none' });
  });
});
