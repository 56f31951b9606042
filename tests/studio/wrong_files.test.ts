import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromZip, memoryStore, toZip } from '@tenon-ml/core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { goTo, hasChromium, launchBrowser, serveStudio } from './studio.js';
import {
  documentOf,
  dropFiles,
  oneAlert,
  openExperiment,
  protocol,
  startTraining,
  storedPaths,
  untilDone,
} from './trouble.js';

let folder: string;
let studio: Awaited<ReturnType<typeof serveStudio>>;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let complaints: string[];
let before: string[];
const document = { ...documentOf('digits-mlp', { epochs: 1 }), name: 'mine' };
/** A model that was trained here, to be damaged. */
let model: Map<string, Uint8Array>;

beforeAll(async () => {
  if (!hasChromium) return;
  folder = await mkdtemp(join(tmpdir(), 'tenon-wrong-'));
  studio = await serveStudio();
  browser = await launchBrowser();
  context = await browser.newContext();
  ({ page, complaints } = await openExperiment(context, studio.url, document));
  await startTraining(page);
  await untilDone(page);
  await goTo(page, 'Take home');
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download the model' }).click();
  const zip = fromZip(await bytesOf(await (await downloading).createReadStream()), 'run.zip');
  model = new Map();
  for (const path of await zip.list()) model.set(path, await zip.read(path));
  await goTo(page, 'Data');
  before = await storedPaths(page);
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await studio?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

/** Files in a folder of their own; their paths. */
async function files(contents: {
  readonly [path: string]: string | Uint8Array;
}): Promise<{ readonly root: string; readonly paths: string[] }> {
  const root = await mkdtemp(join(folder, 'drop-'));
  const paths: string[] = [];
  for (const [path, content] of Object.entries(contents)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), content);
    paths.push(join(root, path));
  }
  return { root, paths };
}

/** What must not have changed: the experiment, what lies in the storage; and the page answers. */
async function expectUnharmed(): Promise<void> {
  expect(await storedPaths(page)).toEqual(before);
  await goTo(page, 'Training');
  expect(await page.getByLabel('Name').inputValue()).toBe('mine');
  await page.getByRole('button', { name: 'Start another run' }).waitFor();
  expect(await page.getByRole('button', { name: 'Start another run' }).isEnabled()).toBe(true);
  await goTo(page, 'Data');
  await page.getByText('1,797').first().waitFor();
  expect(complaints).toEqual([]);
}

/** Random bytes, the same ones each time. */
function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  });
}

const unknown = 'The studio does not know what to make of these files.';
const experiment = JSON.stringify(document);

describe.skipIf(!hasChromium)('files that the studio cannot take', () => {
  const cases: readonly {
    readonly what: string;
    readonly contents: () =>
      | { readonly [path: string]: string | Uint8Array }
      | Promise<{ readonly [path: string]: Uint8Array }>;
    /** Drops the folder rather than its files. */
    readonly folder?: boolean;
    readonly sentence: string | RegExp;
    readonly details: readonly (string | RegExp)[];
  }[] = [
    {
      what: 'a binary of another program',
      contents: () => ({ 'a.out': noise(5000) }),
      sentence: unknown,
      details: ['a.out'],
    },
    {
      what: 'pictures that are none',
      contents: () =>
        Object.fromEntries(
          ['cats/a.png', 'cats/b.png', 'dogs/c.png', 'dogs/d.png'].map((path) => [path, noise(300)]),
        ),
      folder: true,
      sentence: 'The file does not hold what was expected.',
      details: [/cats\/a\.png/, /decode/],
    },
    {
      what: 'a picture outside a folder',
      contents: () => ({ 'a.png': noise(300) }),
      sentence: 'The file does not hold what was expected.',
      details: ['a.png', 'folder for each class'],
    },
    {
      what: 'a CIFAR-10 file that was cut off',
      contents: () => ({ 'data_batch_1.bin': new Uint8Array(3073 * 4 + 100) }),
      sentence: 'The file does not hold what was expected.',
      details: ['data_batch_1.bin', '3073'],
    },
    {
      what: 'a CIFAR-10 file with a label that is none',
      contents: () => ({ 'data_batch_1.bin': new Uint8Array(3073 * 2).fill(11, 3073, 3074) }),
      sentence: /label|expected/,
      details: ['data_batch_1.bin', '11'],
    },
    {
      what: 'a CSV with a broken line',
      contents: () => ({ 'table.csv': 'a,b,c\n1,2,x\n3,4\n5,6,y\n' }),
      sentence: 'The file does not hold what was expected.',
      details: ['table.csv:3: expected 3 fields, got 2'],
    },
    {
      what: 'a text that is no UTF-8',
      contents: () => ({ 'notes.txt': noise(3000) }),
      sentence: 'The file does not hold what was expected.',
      details: ['notes.txt', 'UTF-8'],
    },
    {
      what: 'a zip that is none',
      contents: () => ({ 'model.zip': noise(3000) }),
      sentence: /damaged/,
      details: ['model.zip'],
    },
    {
      what: 'a zip without a model',
      contents: async () => ({
        'holiday.zip': await toZip(memoryStore([['beach.txt', new TextEncoder().encode('sand')]])),
      }),
      sentence: /model/,
      details: ['holiday.zip', 'beach.txt', 'model.json'],
    },
    {
      what: 'a model whose weights are damaged',
      contents: async () => {
        const weights = (model.get('weights.safetensors') as Uint8Array).slice();
        weights.fill(255, 0, 8);
        return {
          'run.zip': await toZip(memoryStore([...model, ['weights.safetensors', weights]])),
        };
      },
      sentence: /damaged/,
      details: [/^(run|model)\/weights\.safetensors/],
    },
    {
      what: 'a model whose weights were cut off',
      contents: async () => {
        const weights = model.get('weights.safetensors') as Uint8Array;
        return {
          'model.json': model.get('model.json') as Uint8Array,
          'weights.safetensors': weights.subarray(0, weights.length - 40),
        };
      },
      sentence: /damaged/,
      details: [/^(run|model)\/weights\.safetensors/],
    },
    {
      what: 'a model of a newer format',
      contents: async () => {
        const text = new TextDecoder().decode(model.get('model.json'));
        return {
          'model.json': new TextEncoder().encode(text.replace(/"version": ?\d+/, '"version": 99')),
          'weights.safetensors': model.get('weights.safetensors') as Uint8Array,
        };
      },
      sentence: 'The file comes from a newer version of Tenon.',
      details: ['model.json', '99'],
    },
    {
      what: 'a model without its weights',
      contents: async () => ({ 'model.json': model.get('model.json') as Uint8Array }),
      sentence: /damaged or incomplete/,
      details: ['model.json', 'weights.safetensors'],
    },
    {
      what: 'an experiment with a wrong field',
      contents: () => ({ 'plan.json': experiment.replace('"epochs":1', '"epochs":0') }),
      sentence: 'This is no experiment that the studio can open.',
      details: ['plan.json, training.epochs: expected an integer of at least 1, got 0'],
    },
    {
      what: 'an experiment of a newer version',
      contents: () => ({ 'plan.json': experiment.replace('"version":1', '"version":99') }),
      sentence: 'The file comes from a newer version of Tenon.',
      details: ['plan.json', '99'],
    },
    {
      what: 'JSON of something else',
      contents: () => ({ 'package.json': '{"name":"x"}' }),
      sentence: /experiment/,
      details: ['package.json', 'tenon-experiment'],
    },
    {
      what: 'JSON that was cut off',
      contents: () => ({ 'plan.json': experiment.slice(0, 100) }),
      sentence: /experiment/,
      details: ['plan.json'],
    },
    { what: 'an empty folder', contents: () => ({}), folder: true, sentence: unknown, details: ['no files'] },
    {
      what: 'a mixture',
      contents: () => ({ 'table.csv': 'a,b\n1,2\n', 'data_batch_1.bin': new Uint8Array(3073) }),
      sentence: unknown,
      details: ['CSV', 'CIFAR-10', 'one kind at a time'],
    },
    {
      what: 'two tables',
      contents: () => ({ 'a.csv': 'a,b\n1,2\n', 'b.csv': 'a,b\n1,2\n' }),
      sentence: unknown,
      details: ['a.csv', 'b.csv', 'one at a time'],
    },
    {
      what: 'an empty file',
      contents: () => ({ 'table.csv': '' }),
      sentence: 'The file does not hold what was expected.',
      details: ['table.csv'],
    },
  ];

  test.each(cases)('$what', async ({ contents, folder: whole, sentence, details }) => {
    const { root, paths } = await files(await contents());
    await dropFiles(page, whole ? [root] : paths);
    const told = await oneAlert(page);
    expect(told.sentence).toMatch(sentence);
    for (const detail of details) expect(told.details).toMatch(detail);
    await expectUnharmed();
  });
});

/** A picture of 4 × 4 pixels of one colour. */
function bmp(red: number, green: number, blue: number): Uint8Array {
  const bytes = new Uint8Array(54 + 4 * 12);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  for (const [at, value] of [
    [2, bytes.length],
    [10, 54],
    [14, 40],
    [18, 4],
    [22, 4],
    [34, 48],
  ])
    view.setUint32(at, value, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let i = 54; i < bytes.length; i += 3) bytes.set([blue, green, red], i);
  return bytes;
}

describe.skipIf(!hasChromium)('files that it can', () => {
  test.each(['dropped', 'chosen'])('a folder of pictures, %s', async (how) => {
    const own = await browser.newContext();
    try {
      const opened = await openExperiment(own, studio.url, document);
      await goTo(opened.page, 'Data');
      const { root } = await files({
        'red/1.bmp': bmp(250, 0, 0),
        'red/2.bmp': bmp(200, 0, 0),
        'blue/1.bmp': bmp(0, 0, 250),
        'blue/2.bmp': bmp(0, 0, 200),
        'blue/broken.png': noise(100),
      });
      if (how === 'dropped') await dropFiles(opened.page, [root]);
      else {
        await goTo(opened.page, 'Take home');
        await opened.page.getByLabel('Choose a folder').setInputFiles(root);
      }
      await opened.page
        .getByText(/4 examples/)
        .first()
        .waitFor();
      await opened.page.getByText(/blue\/broken\.png/).waitFor();
      expect((await storedPaths(opened.page)).some((path) => path.endsWith('/data.safetensors'))).toBe(true);
      expect(opened.complaints).toEqual([]);
    } finally {
      await own.close();
    }
  });

  test('an experiment whose network cannot be built, which says so at the layer', async () => {
    const own = await browser.newContext();
    try {
      const opened = await openExperiment(own, studio.url, document);
      const { paths } = await files({
        'plan.json': experiment.replace('"layer":"relu"', '"layer":"relo"').replace('mine', 'theirs'),
      });
      await dropFiles(opened.page, paths);
      await opened.page.getByText('The experiment “theirs” is open.').waitFor();
      await goTo(opened.page, 'Network');
      await opened.page.getByText(/relo/).first().waitFor();
      await goTo(opened.page, 'Training');
      await opened.page.getByText('The network has errors: mend them first.').waitFor();
      expect(opened.complaints).toEqual([]);
    } finally {
      await own.close();
    }
  });
});

describe.skipIf(!hasChromium)('a picture that the network is asked about', () => {
  test('is none, or has 2 GB: the page says so, and takes another', async () => {
    const { root } = await files({ 'none.png': noise(500), 'blue.bmp': bmp(0, 0, 250) });
    const large = join(root, 'large.png');
    await sparse(large);
    await goTo(page, 'Understanding');
    await page.getByRole('tab', { name: 'A picture' }).click();
    const choice = page.locator('input[type=file][accept="image/*"]');
    await choice.setInputFiles(join(root, 'none.png'));
    await page.getByText('The browser cannot read this picture.').waitFor();
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await choice.setInputFiles(large);
    const told = await oneAlert(page);
    expect(told.sentence).toMatch(/too large/);
    expect(told.details).toContain('large.png: expected at most 30 MB, got 2 GB');
    await choice.setInputFiles(join(root, 'blue.bmp'));
    await page.getByText(/^It says: /).waitFor();
    await goTo(page, 'Data');
    await expectUnharmed();
  });
});

/** A file of 2 GB that takes no room on the disk. */
async function sparse(path: string): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(2_000_000_000);
  await file.close();
}

describe.skipIf(!hasChromium)('files of 2 GB', () => {
  test.each([
    ['table.csv', '50 MB'],
    ['data_batch_1.bin', '32 MB'],
    ['model.zip', '500 MB'],
    ['text.txt', '20 MB'],
    ['plan.json', '1 MB'],
    ['cifar-10-binary.tar.gz', '250 MB'],
    ['cats/a.png', '30 MB'],
  ])('%s is refused at once', async (name, limit) => {
    const root = await mkdtemp(join(folder, 'large-'));
    const path = join(root, name);
    await mkdir(join(path, '..'), { recursive: true });
    await sparse(path);
    const cdp = await protocol(page);
    const heap = async (): Promise<number> => (await cdp.send('Runtime.getHeapUsage')).usedSize;
    const used = await heap();
    const begun = performance.now();
    await dropFiles(page, [name.includes('/') ? root : path]);
    const told = await oneAlert(page);
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(told.sentence).toMatch(/too large/);
    expect(told.details).toContain('2 GB');
    expect(told.details).toContain(limit);
    expect(told.details).toContain(name.split('/').at(-1));
    expect((await heap()) - used).toBeLessThan(20_000_000);
    await expectUnharmed();
    await rm(root, { recursive: true });
  });
});
