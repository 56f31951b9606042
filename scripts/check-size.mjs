/** `npm run check:size`: holds every entry to its budget in .size-limit.json; every published package has one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { publishedPackages, root, run } from './run.mjs';

const budgets = JSON.parse(readFileSync(join(root, '.size-limit.json'), 'utf8'));
const missing = publishedPackages()
  .filter(({ folder }) => folder.startsWith('packages/'))
  .map(({ manifest }) => manifest.name)
  .filter((name) => !budgets.some((budget) => budget.name === name));
for (const name of missing) console.error(`.size-limit.json has no budget for ${name}.`);

const { code } = await run('size-limit', ['--silent']);
process.exitCode = missing.length > 0 ? 1 : code;
