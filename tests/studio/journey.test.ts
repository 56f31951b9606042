import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ended, lastJson, tenon } from '../e2e/tenon.js';
import { draw, goTo, hasChromium, launchBrowser, openStudio, serveStudio, stepOf } from './studio.js';

let folder: string;
let studio: Awaited<ReturnType<typeof serveStudio>>;
let browser: Browser;
beforeAll(async () => {
  if (!hasChromium) return;
  folder = await mkdtemp(join(tmpdir(), 'tenon-studio-'));
  studio = await serveStudio();
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await studio?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** What the page says of the test data: 'Loss 0.076, Accuracy 98.5%' as 0.985. */
async function testAccuracy(page: Page): Promise<number> {
  const text = await page.getByTestId('test-figures').textContent({ timeout: 240_000 });
  return Number(/([\d.]+)\s*%/.exec(text ?? '')?.[1]) / 100;
}

/** A seven: a line on top, another down from its end. */
const SEVEN = [
  [
    [0.3, 0.2],
    [0.68, 0.2],
    [0.45, 0.85],
  ],
] as const;

/** The values from 0 to 16 that the network was given, from the picture of them. */
async function seenDigit(page: Page): Promise<number[][][]> {
  const pixels = await page
    .getByRole('img', { name: 'What the network sees' })
    .locator('canvas')
    .evaluate((canvas) => {
      const { width, height } = canvas as HTMLCanvasElement;
      const context = (canvas as HTMLCanvasElement).getContext('2d');
      return [...(context?.getImageData(0, 0, width, height).data ?? [])];
    });
  return Array.from({ length: 8 }, (_, y) =>
    Array.from({ length: 8 }, (_, x) => [Math.round(((255 - pixels[4 * (8 * y + x)]) / 255) * 16)]),
  );
}

/** The one prediction that `tenon predict --json` printed. */
function predictionOf(stdout: string): { label: string; probability: number } {
  const { predictions } = lastJson({ stdout } as Ended) as {
    predictions: { predictions: { label: string; probability: number }[] }[];
  };
  return predictions[0].predictions[0];
}

/** 'It says: 7 (99.1%)' as its label and share. */
async function said(page: Page): Promise<{ label: string; probability: number }> {
  const text = await page.getByText(/^It says: /).textContent();
  const [, label, share] = /It says: (.+) \(([\d.]+)\s*%\)/.exec(text ?? '') ?? [];
  return { label, probability: Number(share) / 100 };
}

describe.skipIf(!hasChromium)('the studio, from data to a model that is taken home', () => {
  test('on wasm: trained, paused, reloaded, resumed, asked, downloaded, evaluated', {
    timeout: 300_000,
  }, async () => {
    const { context, page, complaints } = await openStudio(browser, studio.url);
    await goTo(page, 'Training');
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.getByText(/^step [1-9]\d+ of 600/).waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('digits-cnn: Paused').waitFor();
    const paused = await stepOf(page);
    expect(paused).toBeGreaterThanOrEqual(10);
    expect(paused).toBeLessThan(600);

    await page.getByRole('button', { name: 'Learning rate, times 0.5' }).click();
    await page.getByRole('button', { name: 'One step' }).click();
    await page.getByText(new RegExp(`^step ${paused + 1} of`)).waitFor();
    await page.getByText('digits-cnn: Paused').waitFor();

    await page.reload();
    await page.getByText('digits-cnn: Paused').waitFor();
    expect(await stepOf(page)).toBe(paused + 1);
    await page.getByRole('button', { name: 'Resume' }).click();
    // A change of the learning rate belongs to the run.
    await expect
      .poll(() => page.getByRole('textbox', { name: 'Learning rate, times' }).inputValue())
      .toBe('0.5');
    const accuracy = await testAccuracy(page);
    expect(accuracy).toBeGreaterThan(0.95);
    expect(await stepOf(page)).toBe(600);
    // The GPU of this browser is software: the processor is quicker.
    await page.getByText(/^wasm – /).waitFor();
    // The epochs from before the reload are there too.
    await page
      .getByRole('rowheader', { name: /^1$|^1 / })
      .first()
      .waitFor();

    await goTo(page, 'Understanding');
    await draw(page, SEVEN);
    await page.getByText(/^It says: /).waitFor();
    const answer = await said(page);
    expect(answer.label).toBe('7');
    await page.getByRole('img', { name: 'Heat for 7 over the input' }).waitFor();
    await page
      .getByText(/^7, 0\.\d+/)
      .first()
      .waitFor();

    await goTo(page, 'Take home');
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download the model' }).click();
    const zip = join(folder, 'digits.zip');
    await (await downloading).saveAs(zip);
    const evaluated = await tenon(['evaluate', zip, '--json']);
    expect(evaluated.code, evaluated.stderr).toBe(0);
    const { test: figures } = lastJson(evaluated) as { test: { accuracy: number } };
    expect(figures.accuracy).toBeCloseTo(accuracy, 3);

    // The same input gets the same answer there.
    await goTo(page, 'Understanding');
    await draw(page, SEVEN);
    await page.getByText(/^It says: /).waitFor();
    const input = join(folder, 'seven.json');
    await writeFile(input, JSON.stringify(await seenDigit(page)));
    const predicted = await tenon(['predict', zip, input, '--json']);
    expect(predicted.code, predicted.stderr).toBe(0);
    const again = await said(page);
    expect(again.label).toBe('7');
    expect(predictionOf(predicted.stdout).label).toBe('7');
    expect(predictionOf(predicted.stdout).probability).toBeCloseTo(again.probability, 2);

    // A picture that is dropped where the network is asked is a question too.
    const transfer = await page
      .locator('canvas[tabindex]')
      .first()
      .evaluateHandle(async (pad) => {
        const blob = await new Promise<Blob | null>((done) => (pad as HTMLCanvasElement).toBlob(done));
        const dropped = new DataTransfer();
        dropped.items.add(new File([blob as Blob], 'seven.png', { type: 'image/png' }));
        return dropped;
      });
    await page.dispatchEvent('main', 'drop', { dataTransfer: transfer });
    await page.getByRole('tab', { name: 'A picture', selected: true }).waitFor();
    await expect.poll(async () => (await said(page)).label).toBe('7');

    // Whoever opens the link has the experiment, and trains to the same figure.
    await goTo(page, 'Take home');
    await page.getByRole('button', { name: 'Copy the link' }).click();
    const link = await page.getByRole('textbox', { name: 'A link to this experiment' }).inputValue();
    const guest = await openStudio(browser, link);
    await guest.page.getByText('The experiment “digits-cnn” is open.').waitFor();
    await goTo(guest.page, 'Training');
    await guest.page.getByRole('button', { name: 'Start training' }).click();
    expect(await testAccuracy(guest.page)).toBeGreaterThan(0.95);
    await guest.context.close();

    expect(complaints).toEqual([]);
    await context.close();
  });

  test('on WebGPU: trained above 0.95', { timeout: 600_000 }, async () => {
    const { context, page, complaints } = await openStudio(browser, studio.url);
    // Software that says it is a GPU, as a real one does: it is taken by itself.
    await context.addInitScript(() => {
      Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { get: () => false });
    });
    await page.reload();
    // The smallest network: a GPU in software takes its time for every dispatch.
    await goTo(page, 'Network');
    await page.getByRole('button', { name: 'Open with its digits: Digits MLP' }).click();
    await goTo(page, 'Training');
    await page
      .getByLabel('Computes on')
      .locator('option:checked', { hasText: 'Automatic: Graphics processor' })
      .waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.getByText(/^webgpu – /).waitFor({ timeout: 60_000 });
    expect(await testAccuracy(page)).toBeGreaterThan(0.95);
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('a model of the command line answers in the page as it does there', { timeout: 120_000 }, async () => {
    const run = join(folder, 'run');
    const trained = await tenon([
      'train',
      'digits-cnn',
      '--epochs',
      '6',
      '--seed',
      '3',
      '--out',
      run,
      '--json',
    ]);
    expect(trained.code, trained.stderr).toBe(0);
    const { context, page, complaints } = await openStudio(browser, studio.url);
    await goTo(page, 'Take home');
    await page
      .getByLabel('Choose files')
      .setInputFiles([join(run, 'model.json'), join(run, 'weights.safetensors')]);
    await page.getByRole('heading', { level: 1, name: 'Understanding' }).waitFor();
    await draw(page, SEVEN);
    await page.getByText(/^It says: /).waitFor();
    const here = await said(page);
    const input = join(folder, 'drawn.json');
    await writeFile(input, JSON.stringify(await seenDigit(page)));
    const predicted = await tenon(['predict', run, input, '--json']);
    expect(predicted.code, predicted.stderr).toBe(0);
    const { label, probability } = predictionOf(predicted.stdout);
    expect(here.label).toBe(label);
    expect(here.probability).toBeCloseTo(probability, 2);
    expect(complaints).toEqual([]);
    await context.close();
    expect(await readFile(join(run, 'model.json'), 'utf8')).toContain('tenon-model');
  });
});
