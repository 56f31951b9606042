/**
 * `npm run check:publish [-- NAME...]`: packs every published package as it would be released, and holds the
 * tarball to publint (strict), to "are the types wrong" (ESM only) and to the rules of this house. Needs a build.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishedPackages, root, run } from './run.mjs';

const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

const names = process.argv.slice(2);
const packages = publishedPackages().filter(
  ({ manifest }) => names.length === 0 || names.includes(manifest.name),
);
const folder = mkdtempSync(join(tmpdir(), 'tenon-pack-'));

/** What is wrong with one package, as text to print; empty where nothing is. */
async function check({ folder: source, manifest }) {
  const packed = await run('pnpm', ['pack', '--json', '--pack-destination', folder], {
    cwd: join(root, source),
    output: 'collect',
  });
  if (packed.code !== 0) return [`pnpm pack failed:\n${packed.text}`];
  const { filename, files } = JSON.parse(packed.stdout);
  const problems = checkFiles(files.map(({ path }) => path));
  const { stdout } = await run('tar', ['-xzOf', filename, 'package/package.json'], { output: 'collect' });
  problems.push(...checkManifest(JSON.parse(stdout)));
  for (const [tool, ...args] of [
    ['publint', 'run', '--strict', filename],
    ['attw', '--profile', 'esm-only', '--no-emoji', '--no-color', filename],
  ]) {
    const result = await run(tool, args, { output: 'collect' });
    if (result.code !== 0) problems.push(`${tool}:\n${result.text}`);
  }
  console.log(`${problems.length === 0 ? 'ok    ' : 'FAILED'}  ${manifest.name}`);
  return problems;
}

function checkFiles(files) {
  const problems = ['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts']
    .filter((file) => !files.includes(file))
    .map((file) => `the tarball lacks ${file}`);
  for (const file of files) {
    if (
      !/^(dist|src)\//.test(file) &&
      !['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json'].includes(file)
    ) {
      problems.push(`the tarball holds ${file}`);
    }
  }
  return problems;
}

function checkManifest(manifest) {
  const problems = ['description', 'keywords', 'license', 'engines', 'exports', 'sideEffects']
    .filter((field) => manifest[field] === undefined)
    .map((field) => `package.json lacks ${field}`);
  for (const field of ['dependencies', 'peerDependencies', 'optionalDependencies']) {
    for (const [name, version] of Object.entries(manifest[field] ?? {})) {
      if (!EXACT.test(version))
        problems.push(`package.json: ${field}.${name} is ${version}, not one exact version`);
    }
  }
  const scripts = Object.keys(manifest.scripts ?? {}).filter((name) => /install|prepare/.test(name));
  if (scripts.length > 0) problems.push(`package.json: runs ${scripts.join(', ')} on the user's machine`);
  return problems;
}

const queue = [...packages];
const failures = [];
await Promise.all(
  Array.from({ length: Math.min(availableParallelism(), 4) }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const problem of await check(next)) failures.push(`${next.manifest.name}: ${problem}`);
    }
  }),
);
rmSync(folder, { recursive: true });

if (failures.length > 0) {
  console.error(`\n${failures.join('\n')}`);
  process.exitCode = 1;
}
