/** `npm run build [-- turbo's arguments]`: builds the packages that are stale. */
import { run } from './run.mjs';
import { setup } from './setup.mjs';

/** Builds what is stale; `filters` are turbo's, `types` asks for declarations too. Returns an exit code. */
export async function build({ filters = [], args = [], types = true, output = 'inherit' } = {}) {
  const selection = filters.map((filter) => `--filter=${filter}`);
  const tasks = types ? ['build', 'build:types'] : ['build'];
  const { code } = await run(
    'turbo',
    ['run', ...tasks, '--output-logs=errors-only', '--continue', ...selection, ...args],
    {
      output,
    },
  );
  return code;
}

if (process.argv[1] === import.meta.filename) {
  process.exitCode = (await setup()) || (await build({ args: process.argv.slice(2) }));
}
