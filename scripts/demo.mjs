/** `npm run demo [-- --port N]`: sets up and builds the studio, then serves it with the headers that it wants. */
import { build } from './build.mjs';
import { root, run } from './run.mjs';
import { setup } from './setup.mjs';

const code =
  (await setup({ output: 'stderr' })) ||
  (await build({ filters: ['@tenon-ml/demo'], types: false, output: 'stderr' }));
process.exitCode =
  code === 0
    ? (await run('vite', ['preview', 'apps/demo', ...process.argv.slice(2)], { cwd: root })).code
    : code;
