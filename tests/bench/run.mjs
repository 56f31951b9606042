/**
 * `node bench/run.mjs FILE [ARGS]`: runs a TypeScript file of this folder on the packages' sources. It is bundled
 * first (the gradients of tfjs can't be imported by Node); tfjs itself stays outside of the bundle.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { esbuildTfjsGradients } from '@tenon-ml/config/tsup';
import { build } from 'esbuild';

const tests = resolve(import.meta.dirname, '..');
const [file, ...args] = process.argv.slice(2);
// Inside the package, so that the imports that stay resolve from here.
const folder = join(tests, 'node_modules/.cache/bench');
const outfile = join(folder, `${process.pid}.mjs`);
mkdirSync(folder, { recursive: true });
try {
  await build({
    entryPoints: [resolve(file)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['@tenon-ml/source'],
    external: ['@tensorflow/*'],
    sourcemap: 'inline',
    plugins: [esbuildTfjsGradients(join(tests, '../packages/core'))],
  });
  const child = spawn(process.execPath, [...process.execArgv, '--enable-source-maps', outfile, ...args], {
    stdio: 'inherit',
  });
  process.exitCode = await new Promise((done) => child.on('exit', (code) => done(code ?? 1)));
} finally {
  rmSync(outfile, { force: true });
}
