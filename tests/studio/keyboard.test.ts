import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasChromium, launchBrowser, openStudio, serveStudio, stepOf } from './studio.js';

let studio: Awaited<ReturnType<typeof serveStudio>>;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let complaints: readonly string[];
beforeAll(async () => {
  if (!hasChromium) return;
  studio = await serveStudio();
  browser = await launchBrowser();
  ({ context, page, complaints } = await openStudio(browser, studio.url));
});
afterAll(async () => {
  await context?.close();
  await browser?.close();
  await studio?.close();
});

/** What has the focus: its name or text, and whether one sees that it has it. */
interface Focused {
  readonly tag: string;
  readonly name: string;
  readonly visible: boolean;
}

/** Once whatever follows a key has happened. */
const focused = (): Promise<Focused> =>
  page.evaluate(async () => {
    await new Promise(requestAnimationFrame);
    await new Promise((resolve) => setTimeout(resolve, 20));
    // Of a page that is drawing just then it may take a moment.
    for (let i = 0; i < 20 && document.activeElement === document.body; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const element = document.activeElement ?? document.body;
    const labels = (element as HTMLInputElement).labels ?? [];
    // Fields of files are unseen: their label shows the focus in their place.
    const shown = [element, ...labels].some((one) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(one);
      const { width, height } = one.getBoundingClientRect();
      return outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2 && width > 4 && height > 4;
    });
    const of = element.getAttribute('aria-label') ?? labels[0]?.textContent ?? element.textContent ?? '';
    return { tag: element.tagName, name: of.replace(/\s+/g, ' ').trim().slice(0, 80), visible: shown };
  });

/** Presses a key; the focus must be on something, and to be seen. */
async function press(key: string): Promise<Focused> {
  await page.keyboard.press(key);
  const at = await focused();
  expect(at.tag, `the focus after ${key}`).not.toBe('BODY');
  expect(at.visible, `${key} leads to ${at.tag} “${at.name}”, which doesn't show it`).toBe(true);
  return at;
}

/** Goes on by Tab, or another key, until something of this name has the focus. */
async function reach(name: RegExp, key = 'Tab', tag?: string): Promise<Focused> {
  const passed: string[] = [];
  for (let i = 0; i < 90; i++) {
    const at = await press(key);
    if (name.test(at.name) && (!tag || at.tag === tag)) return at;
    passed.push(`${at.tag} ${at.name}`);
  }
  throw new Error(`${key} leads never to ${name}, but to\n${passed.join('\n')}`);
}

const heading = (name: string): Promise<void> =>
  page.getByRole('heading', { level: 1, name }).waitFor({ timeout: 10_000 });

/** A section by its link, from wherever the focus is. */
async function section(name: string): Promise<void> {
  await reach(new RegExp(`^\\d ?${name}$`), 'Shift+Tab', 'A');
  await press('Enter');
  await heading(name);
  expect(await focused()).toMatchObject({ tag: 'H1', name });
}

describe.skipIf(!hasChromium)('the studio by the keyboard alone', () => {
  test('from the digits to an answer', { timeout: 120_000 }, async () => {
    // Past everything above, at once.
    await page.getByText('1,797 examples', { exact: false }).first().waitFor();
    expect(await press('Tab')).toMatchObject({ name: 'Skip to the content' });
    expect(await press('Enter')).toMatchObject({ tag: 'H1', name: 'Data' });

    await reach(/^Digits/, 'Tab', 'INPUT');
    expect(await press('ArrowDown')).toMatchObject({ tag: 'INPUT' });
    expect(await page.getByRole('radio', { name: /^CIFAR-10/ }).isChecked()).toBe(true);
    await press('ArrowUp');
    expect(await page.getByRole('radio', { name: /^Digits/ }).isChecked()).toBe(true);

    await section('Network');
    const layers = page.getByRole('list', { name: 'Layers' }).locator('> li');
    const before = await layers.count();
    await reach(/Add a layer$/);
    await press('Enter');
    await reach(/^Dropout/);
    expect(await press('Enter')).toMatchObject({ name: expect.stringContaining('Dropout') });
    expect(await layers.count()).toBe(before + 1);
    // The layer that is open has an arrow to move it, which stays under the focus.
    await reach(/^Move dropout\S* up$/);
    expect((await press('Space')).name).toMatch(/^Move dropout/);
    await reach(/Undo$/, 'Shift+Tab');
    expect((await press('Enter')).name).toMatch(/Undo$/);
    expect((await press('Enter')).name).toMatch(/Undo$/);
    expect(await layers.count()).toBe(before);

    await section('Training');
    await reach(/^Epochs$/);
    await page.keyboard.type('300');
    await reach(/^Start training$/);
    await press('Enter');
    await page.getByText(/^step [1-9]/).waitFor({ timeout: 60_000 });
    expect((await focused()).name).toBe('Pause');
    await press('Enter');
    await page.getByText('digits-cnn: Paused').waitFor();
    expect((await focused()).name).toBe('Resume');
    const paused = await stepOf(page);
    expect((await press('Tab')).name).toBe('One step');
    await press('Space');
    await page.getByText(new RegExp(`^step ${paused + 1} of`)).waitFor();
    await page.getByText('digits-cnn: Paused').waitFor();
    expect((await focused()).name).toBe('One step');
    await press('Shift+Tab');
    await press('Enter');
    await page.getByText(/· epoch ([3-9]|\d\d) of/).waitFor({ timeout: 60_000 });
    expect((await focused()).name).toBe('Pause');

    await reach(/^Confusion matrix$/, 'Tab', 'BUTTON');
    expect((await press('ArrowRight')).name).toBe('Most wrong');
    expect((await press('End')).name).toBe('Gradients');
    await page.getByRole('tabpanel', { name: 'Gradients' }).locator('svg').first().waitFor();
    await reach(/^Look again$/, 'Shift+Tab');
    expect((await press('Enter')).name).toBe('Look again');

    await reach(/^Stop$/, 'Shift+Tab');
    await press('Enter');
    await page.getByText('digits-cnn: Stopped').waitFor({ timeout: 60_000 });
    expect((await focused()).tag).not.toBe('BODY');

    await section('Understanding');
    await reach(/^Drawing pad$/);
    await drawOne();
    await page.getByText(/^It says: 1 /).waitFor();
    await reach(/^Over the picture$/);
    await press('ArrowDown');
    expect(complaints).toEqual([]);
  });

  test('what goes away leaves the focus near', { timeout: 60_000 }, async () => {
    page.on('dialog', (dialog) => void dialog.accept());
    await section('Take home');
    await reach(/^Remove: /);
    await press('Enter');
    await page.getByText('There is none yet.').waitFor();
    expect((await focused()).tag).not.toBe('BODY');

    // A link that is damaged is told; whoever dismisses that is back where they were.
    await reach(/^Copy$/);
    await page.evaluate(() => {
      location.hash = 'e=damaged';
    });
    await page.getByRole('alert').waitFor();
    await reach(/^Dismiss$/);
    await press('Enter');
    expect(await page.getByRole('alert').count()).toBe(0);
    expect((await focused()).tag).not.toBe('BODY');
  });
});

/** A one: the pen up and to the middle of the sheet, down, and a stroke. */
async function drawOne(): Promise<void> {
  for (let i = 0; i < 11; i++) await page.keyboard.press('ArrowUp');
  await press('Space');
  for (let i = 0; i < 22; i++) await page.keyboard.press('ArrowDown');
  await press('Space');
}
