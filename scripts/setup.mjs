/** `npm run setup`: installs the dependencies, unless they are those of the lockfile already. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pnpm, root, run } from './run.mjs';

/** Installs what is missing; `output` as in run(). Returns an exit code. */
export async function setup({ output = 'inherit' } = {}) {
  const stamp = join(root, 'node_modules/.tenon-setup');
  const hash = createHash('sha256');
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(readFileSync(join(root, file)));
  hash.update(`${process.platform} ${process.arch}`);
  const wanted = hash.digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return 0;
  console.error(`Installing dependencies (${pnpm}) ...`);
  const args = ['-y', pnpm, 'install', '--frozen-lockfile', '--prefer-offline', '--reporter=append-only'];
  const { code } = await run('npx', args, { env: { ...process.env, CI: 'true' }, output });
  if (code === 0) writeFileSync(stamp, wanted);
  else console.error('The dependencies could not be installed (see above).');
  return code;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await setup();
