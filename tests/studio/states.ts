import type { Page } from 'playwright-core';
import { draw, goTo } from './studio.js';

/** What the page can look like: how to get there from the state before it in the list, in English. */
export interface PageState {
  readonly name: string;
  open(page: Page): Promise<void>;
}

/** A table of flowers and a text, small enough to be read at once. */
const table = ['petal,stem,kind', '1.5,3,rose', '2.5,4,tulip', '1.75,3.5,rose', '2.25,4.5,tulip'];
const csv = Buffer.from([table[0], ...Array.from({ length: 30 }, (_, i) => table[1 + (i % 4)])].join('\n'));
const text = Buffer.from('The quick brown fox jumps over the lazy dog.\n'.repeat(400));

/** A seven. */
export const SEVEN = [
  [
    [0.3, 0.2],
    [0.68, 0.2],
    [0.45, 0.85],
  ],
] as const;

async function choose(page: Page, source: RegExp): Promise<void> {
  await page.getByRole('radio', { name: source }).check();
}

/** Trains until `until` is to be seen. */
async function train(page: Page, until: RegExp): Promise<void> {
  await page.getByRole('button', { name: /^Start/ }).click();
  await page.getByText(until).first().waitFor({ timeout: 60_000 });
}

async function pauseTraining(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText(/: Paused$/).waitFor({ timeout: 60_000 });
}

/** A tab of the look inside, once it has something to show. */
function lookInside(tab: string, shown: string, when: string): PageState {
  return {
    name: `Training ${when}, ${tab}`,
    open: async (page) => {
      await page.getByRole('tab', { name: tab }).click();
      await page.getByRole('tabpanel').locator(shown).first().waitFor({ timeout: 60_000 });
    },
  };
}

const looks = (when: string): PageState[] => [
  lookInside('Confusion matrix', 'table', when),
  lookInside('Most wrong', 'li', when),
  lookInside('Filters', 'canvas', when),
  lookInside('Activations', 'canvas', when),
  lookInside('Gradients', 'svg', when),
];

/** The experiment of the digits with two epochs, which take a few seconds. */
const digits: readonly PageState[] = [
  {
    name: 'Data',
    open: async (page) => {
      await page.getByLabel(/^Shift by up to/).fill('2');
      await page.getByRole('table', { name: 'Examples before and after' }).waitFor();
    },
  },
  {
    name: 'Network',
    open: async (page) => {
      await goTo(page, 'Network');
      await page.getByText(/^The network can be built/).waitFor();
      await page
        .getByRole('button', { name: /Digits MLP/ })
        .first()
        .waitFor();
    },
  },
  {
    name: 'Network, a layer open and the choice of another',
    open: async (page) => {
      await page
        .getByRole('button', { name: /Convolution/ })
        .first()
        .click();
      await page.getByRole('button', { name: /Add a layer below/ }).click();
      await page.getByRole('group', { name: /^Add a layer after/ }).waitFor();
    },
  },
  {
    name: 'Network, with an error',
    open: async (page) => {
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByRole('button', { name: 'Remove flatten' }).click();
      await page.getByText(/^⚠ The network can’t be built/).waitFor();
    },
  },
  { name: 'Training, with an error', open: (page) => goTo(page, 'Training') },
  {
    name: 'Training before a run',
    open: async (page) => {
      await goTo(page, 'Network');
      await page.getByRole('button', { name: 'Undo' }).click();
      await page.getByText(/^The network can be built/).waitFor();
      await goTo(page, 'Training');
      await page.getByRole('textbox', { name: 'Epochs' }).fill('300');
    },
  },
  {
    name: 'Understanding, nothing to ask',
    open: (page) => goTo(page, 'Understanding'),
  },
  {
    name: 'Training during a run',
    open: async (page) => {
      await goTo(page, 'Training');
      await train(page, /^epoch|· epoch [2-9]/);
      await page.getByRole('row').nth(1).waitFor();
    },
  },
  {
    name: 'Training paused',
    open: pauseTraining,
  },
  ...looks('paused'),
  {
    name: 'Training stopped, compared with another run',
    open: async (page) => {
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByText(/: Stopped$/).waitFor({ timeout: 60_000 });
      await page.getByRole('textbox', { name: 'Epochs' }).fill('1');
      await page.getByLabel('Learning rate', { exact: true }).fill('0.002');
      await page.getByRole('button', { name: 'Start another run' }).click();
      await page.getByTestId('test-figures').waitFor({ timeout: 60_000 });
      await page.getByText(/: Done$/).waitFor();
      await page.getByLabel('Compare with').selectOption({ index: 1 });
      await page.getByRole('table', { name: 'What differs' }).waitFor();
    },
  },
  ...looks('after a run'),
  {
    name: 'Understanding, with an answer',
    open: async (page) => {
      await goTo(page, 'Understanding');
      await draw(page, SEVEN);
      await page.getByText(/^It says: /).waitFor();
      await page.getByRole('heading', { name: 'Most alike in training' }).waitFor();
      await page
        .getByText(/^\d, 0\.\d+/)
        .first()
        .waitFor();
    },
  },
  {
    name: 'Understanding, an example',
    open: async (page) => {
      await page.getByRole('tab', { name: 'An example' }).click();
      await page.getByText('Example 1', { exact: true }).waitFor();
    },
  },
  {
    name: 'Take home, with stored runs',
    open: async (page) => {
      await goTo(page, 'Take home');
      await page.getByRole('button', { name: 'Copy the link' }).click();
      await page.locator('textarea').waitFor();
      await page.getByText(/ used$/).waitFor();
      await page
        .getByRole('button', { name: /^Remove: / })
        .first()
        .waitFor();
    },
  },
];

/** Data of other kinds. */
const others: readonly PageState[] = [
  {
    name: 'Data, pictures of one’s own',
    open: async (page) => {
      await goTo(page, 'Data');
      await choose(page, /^Make your own/);
      await draw(page, SEVEN);
      await page.getByRole('button', { name: /^Add to/ }).click();
      await page.getByRole('button', { name: /^Remove picture 1/ }).waitFor();
    },
  },
  ...([/^CIFAR-10/, /^Pictures in folders/, /^A table/] as const).map((source) => ({
    name: `Data, the choice of files (${source.source.slice(1)})`,
    open: (page: Page) => choose(page, source),
  })),
  {
    name: 'Data, a table',
    open: async (page) => {
      await page
        .getByLabel('Choose a file', { exact: true })
        .setInputFiles({ name: 'flowers.csv', mimeType: 'text/csv', buffer: csv });
      await page.getByLabel('Predict').waitFor();
      await page.getByText('The first rows').click();
    },
  },
  {
    name: 'Understanding, a table',
    open: async (page) => {
      await goTo(page, 'Training');
      await page.getByRole('textbox', { name: 'Epochs' }).fill('1');
      await train(page, /: Done$/);
      await goTo(page, 'Understanding');
      await page.getByRole('button', { name: 'Ask', exact: true }).click();
      await page.getByText(/^It says: /).waitFor();
    },
  },
  {
    name: 'Data, a text',
    open: async (page) => {
      await goTo(page, 'Data');
      await choose(page, /^A text/);
      await page
        .getByLabel('Choose files')
        .setInputFiles({ name: 'fox.txt', mimeType: 'text/plain', buffer: text });
      await page.getByText('How it begins').waitFor();
    },
  },
  {
    name: 'Understanding, a text',
    open: async (page) => {
      await goTo(page, 'Training');
      await train(page, /^step [1-9]/);
      await pauseTraining(page);
      await goTo(page, 'Understanding');
      await page.getByRole('textbox', { name: 'Characters' }).fill('4');
      await page.getByLabel('Begins with').fill('The');
      await page.getByRole('button', { name: 'Write' }).click();
      await page.getByRole('button', { name: 'Write' }).waitFor({ timeout: 60_000 });
      await page.getByRole('button', { name: 'Show the attention over the text' }).click();
      await page.getByText(/it looks at:/).waitFor();
    },
  },
];

/** All of them, in the order in which each begins where the one before ends; the first where the page is opened. */
export const pageStates: readonly PageState[] = [...digits, ...others];
