import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasChromium, launchBrowser, openStudio, serveStudio } from './studio.js';

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

describe.skipIf(!hasChromium)('the language of the studio', () => {
  test.each([
    ['zh-CN', 'zh-Hans', '数据'],
    ['zh-TW', 'zh-Hans', '数据'],
    ['en-GB', 'en', 'Data'],
    ['de-DE', 'en', 'Data'],
  ])('of a browser in %s is %s at first', async (locale, lang, title) => {
    const { context, page } = await openStudio(browser, studio.url, { locale });
    expect(await page.locator('html').getAttribute('lang')).toBe(lang);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(title);
    expect(await page.title()).toContain(title);
    await context.close();
  });

  test('that was chosen stays over a reload, and changes numbers and dates too', async () => {
    const { context, page, complaints } = await openStudio(browser, studio.url, { locale: 'en-US' });
    await page.getByLabel('Language').selectOption('zh');
    await page.getByRole('heading', { level: 1, name: '数据' }).waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-Hans');
    await page.reload();
    await page.getByRole('heading', { level: 1, name: '数据' }).waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-Hans');
    // Of English texts there is none left, and the other way round.
    await page.getByLabel('语言').selectOption('en');
    await page.getByRole('heading', { level: 1, name: 'Data' }).waitFor();
    expect(await page.locator('main').textContent()).not.toMatch(/\p{Script=Han}/u);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
