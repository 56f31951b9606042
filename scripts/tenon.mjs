/** `npm run tenon -- ARGS`: sets up and builds what is stale, then runs the command line in the user's folder. */
import { join } from 'node:path';
import { build } from './build.mjs';
import { root, run } from './run.mjs';
import { setup } from './setup.mjs';

/** Runs `tenon ARGS`. Only its own output goes to stdout: installing and building report on stderr. */
export async function tenon(args) {
  const code =
    (await setup({ output: 'stderr' })) ||
    (await build({ filters: ['@tenon-ml/cli...'], types: false, output: 'stderr' }));
  if (code !== 0) return code;
  // npm runs scripts in the folder of the package; INIT_CWD is where the user typed the command.
  const cwd = process.env.INIT_CWD ?? process.cwd();
  return (
    await run(process.execPath, [join(root, 'apps/cli/dist/main.js'), ...args], { cwd, env: process.env })
  ).code;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await tenon(process.argv.slice(2));
