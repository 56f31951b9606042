/**
 * `npm run studio:screenshots`: the pictures of apps/demo/README.md, of the built studio, in both themes and languages, on
 * a desktop and on a phone.
 */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { draw, goTo, launchBrowser, openStudio, serveStudio } from './studio.js';

const app = join(process.cwd(), 'apps/demo');
const desktop = { width: 1240, height: 860 };
const phone = { width: 390, height: 780 };
const SEVEN = [
  [
    [0.3, 0.2],
    [0.68, 0.2],
    [0.45, 0.85],
  ],
] as const;

const studio = await serveStudio(app);
const browser = await launchBrowser();

async function take(page: Page, name: string): Promise<void> {
  // Fonts, charts and canvases have been drawn.
  await page.waitForTimeout(600);
  await page.screenshot({
    path: join(app, 'screenshots', `${name}.jpg`),
    type: 'jpeg',
    quality: 84,
    animations: 'disabled',
  });
}

const inEnglish = await openStudio(browser, studio.url, {
  viewport: desktop,
  colorScheme: 'light',
  locale: 'en',
});
{
  const { page } = inEnglish;
  await page.getByRole('heading', { name: 'A look at the data' }).waitFor();
  await page.getByRole('img').first().waitFor();
  await take(page, 'data');
  await page.emulateMedia({ colorScheme: 'dark' });
  await goTo(page, 'Network');
  await page.getByRole('heading', { name: 'Layers' }).scrollIntoViewIfNeeded();
  await page.evaluate(() => scrollTo(0, 380));
  await take(page, 'network-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await goTo(page, 'Training');
  await page.getByRole('button', { name: 'Start training' }).click();
  await page.getByText(/^step (3[5-9]\d|[45]\d\d) of/).waitFor({ timeout: 120_000 });
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('Paused').first().waitFor();
  await page.evaluate(() => scrollTo(0, 330));
  await take(page, 'training');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByTestId('test-figures').waitFor({ timeout: 120_000 });
  await goTo(page, 'Understanding');
  await draw(page, SEVEN);
  await page.getByText(/^It says: /).waitFor();
  await page
    .getByText(/^7, 0\.\d+/)
    .first()
    .waitFor();
  await take(page, 'understanding');
  await page.setViewportSize(phone);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.evaluate(() => scrollTo(0, 0));
  await take(page, 'understanding-phone-dark');
}

const inChinese = await openStudio(browser, studio.url, {
  viewport: phone,
  colorScheme: 'light',
  locale: 'zh-CN',
});
{
  const { page } = inChinese;
  await goTo(page, '训练');
  await page.getByRole('button', { name: '开始训练' }).click();
  await page.getByTestId('test-figures').waitFor({ timeout: 120_000 });
  await page.evaluate(() => scrollTo(0, 620));
  await take(page, 'training-phone-chinese');
  await page.setViewportSize(desktop);
  await page.emulateMedia({ colorScheme: 'dark' });
  await goTo(page, '带走');
  await page.getByRole('row').nth(1).waitFor();
  await take(page, 'take-home-chinese-dark');
}

await browser.close();
await studio.close();
