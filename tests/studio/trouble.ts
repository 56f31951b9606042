import {
  documentToText,
  type ExperimentDocument,
  type PresetId,
  presets,
  type TrainingSpec,
} from '@tenon-ml/experiment';
import type { RunReport } from '@tenon-ml/train';
import type { BrowserContext, CDPSession, Page } from 'playwright-core';
import { goTo, openPage, stepOf } from './studio.js';

/** A preset with other settings. */
export function documentOf(id: PresetId, training: Partial<TrainingSpec> = {}): ExperimentDocument {
  const preset = presets.find((one) => one.id === id);
  if (!preset) throw new Error(`There is no preset ${id}.`);
  return { ...preset.document, training: { ...preset.document.training, ...training } };
}

/** Opens the studio by a link to an experiment, in the section that trains it. */
export async function openExperiment(
  context: BrowserContext,
  url: string,
  document: ExperimentDocument,
): Promise<{ readonly page: Page; readonly complaints: string[] }> {
  const opened = await openPage(context, `${url}#e=${await documentToText(document)}`);
  const told = opened.page.getByText(`The experiment “${document.name}” is open.`);
  await told.waitFor();
  await opened.page.getByRole('button', { name: 'Dismiss' }).click();
  await goTo(opened.page, 'Training');
  return opened;
}

/** Starts what is open, and waits until it has made some steps. */
export async function startTraining(page: Page, steps = 1): Promise<void> {
  await page.getByRole('button', { name: 'Start training' }).click();
  await pastStep(page, steps);
}

/** Waits until the progress tells of at least so many steps. */
export async function pastStep(page: Page, steps: number): Promise<void> {
  for (;;) {
    await page.getByText(/^step [\d,]+ of/).waitFor({ timeout: 60_000 });
    if ((await stepOf(page)) >= steps) return;
    await page.waitForTimeout(30);
  }
}

/** Waits for what the controls say of the run: 'Done', 'Paused', 'Failed'. */
export async function untilStatus(page: Page, status: string, timeout = 60_000): Promise<void> {
  await page.getByText(new RegExp(`^[\\w-]+: ${status}$`)).waitFor({ timeout });
}

/** Waits until the run has ended, and its model is saved. */
export async function untilDone(page: Page): Promise<void> {
  await page.getByTestId('test-figures').waitFor({ timeout: 300_000 });
  await untilStatus(page, 'Done');
}

/** What lies in the storage of the studio's origin: paths, with temporary files. */
export function storedPaths(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const found: string[] = [];
    const collect = async (folder: FileSystemDirectoryHandle, path: string): Promise<void> => {
      for await (const [name, handle] of folder.entries()) {
        found.push(`${path}${name}`);
        if (handle.kind === 'directory')
          await collect(handle as FileSystemDirectoryHandle, `${path}${name}/`);
      }
    };
    await collect(await navigator.storage.getDirectory(), '');
    return found.sort();
  });
}

async function storedText(page: Page, path: string): Promise<string> {
  return page.evaluate(async (names) => {
    let folder = await navigator.storage.getDirectory();
    for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name);
    return (await (await folder.getFileHandle(names.at(-1) as string)).getFile()).text();
  }, path.split('/'));
}

/** What came out of a run, in full precision, and its steps as the log has them. */
export interface Outcome {
  readonly test: RunReport['test'];
  readonly history: RunReport['history'];
  readonly steps: readonly { readonly step: number; readonly loss: number }[];
}

/** Of the only run in the storage, or of the one with this identity. */
export async function outcomeOf(page: Page, id?: string): Promise<Outcome> {
  const [folder] = (await storedPaths(page)).filter((path) =>
    id ? path === `runs/${id}` : /^runs\/[^/]+$/.test(path),
  );
  const { test, history } = JSON.parse(await storedText(page, `${folder}/report.json`)) as RunReport;
  const events = (await storedText(page, `${folder}/events.jsonl`)).trim().split('\n');
  const steps = events
    .map((line) => JSON.parse(line) as { type: string; step: number; loss: number })
    .filter(({ type }) => type === 'step')
    .map(({ step, loss }) => ({ step, loss }));
  return { test, history, steps };
}

/** Drops files and folders on the page, as the system does. */
export async function dropFiles(page: Page, paths: readonly string[]): Promise<void> {
  const cdp = await page.context().newCDPSession(page);
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await cdp.send('Input.dispatchDragEvent', { type, x: 600, y: 500, data });
  await cdp.detach();
}

/** The page's own session of the browser's protocol. */
export function protocol(page: Page): Promise<CDPSession> {
  return page.context().newCDPSession(page);
}

/** The errors that the page tells: the sentence, and what stands below it. */
export async function alerts(page: Page): Promise<{ readonly sentence: string; readonly details: string }[]> {
  const shown = await page.getByRole('alert').all();
  return Promise.all(
    shown.map(async (one) => ({
      sentence: (await one.locator('strong').textContent()) ?? '',
      details: (await one.locator('details p').textContent()) ?? '',
    })),
  );
}

/** Waits for one error, which is then dismissed. */
export async function oneAlert(page: Page): Promise<{ readonly sentence: string; readonly details: string }> {
  await page.getByRole('alert').first().waitFor();
  const [one, ...others] = await alerts(page);
  if (others.length > 0) throw new Error(`More than one message: ${JSON.stringify([one, ...others])}`);
  await page.getByRole('alert').getByRole('button', { name: 'Dismiss' }).click();
  return one;
}
