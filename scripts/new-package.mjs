/**
 * `npm run new:package NAME [-- --description TEXT]`: makes packages/NAME from templates/package, enters it in the
 * lists (size budgets, the tests' dependencies, the README's table, a changeset), and installs it. The result passes
 * every check as it stands.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { pnpm, root, run } from './run.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { description: { type: 'string' } },
});
const [name] = positionals;

if (positionals.length !== 1 || !/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
  console.error(
    'Usage: npm run new:package NAME [-- --description TEXT]; NAME in lower case, words joined by hyphens.',
  );
  process.exit(2);
}
if (existsSync(join(root, 'packages', name))) {
  console.error(`packages/${name} is there already.`);
  process.exit(1);
}

const description = (values.description ?? `What ${name} is for`).replace(/\.$/, '');
const fill = (text) => text.replaceAll('__NAME__', name).replaceAll('__DESCRIPTION__', description);

const template = join(root, 'templates/package');
for (const file of readdirSync(template, { recursive: true, withFileTypes: true })) {
  if (!file.isFile()) continue;
  const source = join(file.parentPath, file.name);
  write(join('packages', name, source.slice(template.length + 1)), fill(readFileSync(source, 'utf8')));
}

edit('.size-limit.json', (budgets) => {
  const { ignore } = budgets[0];
  budgets.push({ name: `@tenon-ml/${name}`, path: `packages/${name}/dist/index.js`, limit: '2 kB', ignore });
});
edit('tests/package.json', (manifest) => {
  const entries = Object.entries({ ...manifest.devDependencies, [`@tenon-ml/${name}`]: 'workspace:*' });
  manifest.devDependencies = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
});
write(
  'README.md',
  readFileSync(join(root, 'README.md'), 'utf8').replace(
    '<!-- packages: end -->',
    `| [${name}](packages/${name}) | ${description} |\n<!-- packages: end -->`,
  ),
);
write(`.changeset/add-${name}.md`, `---\n'@tenon-ml/${name}': minor\n---\n\nAdd ${name}: ${description}.\n`);

const { code: installed } = await run(
  'npx',
  ['-y', pnpm, 'install', '--no-frozen-lockfile', '--prefer-offline'],
  {
    env: process.env,
  },
);
// The formatter decides how the lists are laid out.
const touched = ['.size-limit.json', 'tests/package.json', `packages/${name}`];
const { code: formatted } = await run('biome', ['format', '--write', ...touched]);
process.exitCode = installed || formatted;
if (process.exitCode === 0) {
  console.log(
    `\npackages/${name} is ready. Next: replace src/norms.ts, its test and the README's example; then npm test.`,
  );
}

function write(path, text) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function edit(path, change) {
  const content = JSON.parse(readFileSync(join(root, path), 'utf8'));
  change(content);
  write(path, `${JSON.stringify(content, null, 2)}\n`);
}
