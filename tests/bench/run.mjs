/**
 * `node tests/bench/run.mjs FILE [ARGS]`: runs a TypeScript file on the packages' sources. It is bundled first (the
 * gradients of tfjs can't be imported by Node); tfjs itself stays outside of the bundle.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { bundle } from './bundle.mjs';

const [file, ...args] = process.argv.slice(2);
const outfile = await bundle(file);
// Ctrl-C reaches the child by itself, and a supervisor's signal is passed on: either way we end when it has ended.
process.on('SIGINT', () => {});
try {
  const child = spawn(process.execPath, [...process.execArgv, '--enable-source-maps', outfile, ...args], {
    stdio: 'inherit',
  });
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.exitCode = await new Promise((done) => child.on('exit', (code) => done(code ?? 1)));
} finally {
  rmSync(outfile, { force: true });
}
