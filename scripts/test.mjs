/**
 * `npm test`: every check of the repository, each a named step; all run, and the exit code tells whether all
 * passed. With CI or TENON_REQUIRE_ALL set, a suite that this machine can't run fails instead of being skipped.
 *
 * `npm test -- NAME...` runs the named steps only.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from './build.mjs';
import { root, run, toolEnvironment } from './run.mjs';
import { setup } from './setup.mjs';

const reports = join(root, 'node_modules/.cache/tenon-test');
const env = toolEnvironment();
if (env.CI && env.CI !== 'false') env.TENON_REQUIRE_ALL = '1';

const command = (name, ...args) => run(name, args, { env }).then(({ code }) => code);
const script = (name) => command(process.execPath, `scripts/${name}.mjs`);
const vitest = (name, ...args) =>
  command(
    'vitest',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${join(reports, `${name}.json`)}`,
    ...args,
  );

const steps = {
  setup: () => setup(),
  types: async () =>
    (await command('tsc', '--noEmit', '-p', 'tsconfig.json')) ||
    (await command('pnpm', '--filter', '@tenon-ml/demo', 'run', 'check')),
  lint: () => command('biome', 'check', '--error-on-warnings', '.'),
  arrows: () => script('check-arrows'),
  build: () => build(),
  publish: () => script('check-publish'),
  size: () => script('check-size'),
  tests: () => vitest('tests', '--project=!readme'),
  readme: () => vitest('readme', '--project=readme'),
};

/**
 * Adds up the totals of vitest's reports and names what failed; a file that failed outside its tests counts as one
 * failure.
 */
function totals() {
  const sum = { passed: 0, failed: 0, skipped: 0, failures: [] };
  for (const name of ['tests', 'readme']) {
    let report;
    try {
      report = JSON.parse(readFileSync(join(reports, `${name}.json`), 'utf8'));
    } catch {
      continue;
    }
    sum.passed += report.numPassedTests;
    for (const file of report.testResults) {
      const where = relative(root, file.name);
      const failed = file.assertionResults.filter(({ status }) => status === 'failed');
      for (const test of failed) {
        sum.failures.push(`${where}: ${test.fullName}\n${indented(test.failureMessages.join('\n'))}`);
      }
      if (file.status === 'failed' && failed.length === 0) {
        sum.failures.push(`${where}\n${indented(file.message)}`);
      }
    }
    sum.failed = sum.failures.length;
    sum.skipped += report.numPendingTests + report.numTodoTests;
  }
  return sum;
}

/** The beginning of a failure's text: enough to tell what it is where only the end of a log was kept. */
function indented(text) {
  return text
    .split('\n')
    .filter((line) => !line.includes('/node_modules/'))
    .slice(0, 12)
    .map((line) => `        ${line}`)
    .join('\n');
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in steps));
if (unknown.length > 0) {
  console.error(`No step ${unknown.join(', ')}; there are: ${Object.keys(steps).join(', ')}.`);
  process.exit(2);
}
rmSync(reports, { recursive: true, force: true });

const rows = [];
for (const [name, step] of Object.entries(steps)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n== ${name}`);
  const start = performance.now();
  const code = await step();
  if (name === 'setup') mkdirSync(reports, { recursive: true });
  rows.push({ name, code, seconds: (performance.now() - start) / 1000 });
  if (name === 'setup' && code !== 0) break;
  if (code >= 128) break;
}

console.log();
for (const { name, code, seconds } of rows) {
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${name.padEnd(8)} ${seconds.toFixed(1).padStart(7)} s`);
}
const { passed, failed, skipped, failures } = totals();
for (const failure of failures) console.log(`FAILED  ${failure}`);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = rows.every(({ code }) => code === 0) ? 0 : 1;
