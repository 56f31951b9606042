/**
 * Compiles assembly/ to src/module/kernels.ts: the module in base64, and the names of its kernels. The file is
 * committed, so that everything runs from source; `node scripts/build-kernels.mjs --check` tells whether it is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import asc from 'assemblyscript/asc';

const folder = resolve(import.meta.dirname, '..');
const target = join(folder, 'src/module/kernels.ts');

const outputs = new Map();
const { error, stderr } = await asc.main(
  [
    'assembly/index.ts',
    '--outFile=kernels.wasm',
    '-O3',
    '--noAssert',
    '--runtime=stub',
    '--importMemory',
    '--sharedMemory',
    '--initialMemory=1',
    '--maximumMemory=65536',
    '--importTable',
    '--enable=simd,threads,bulk-memory',
    // No abort with a message: messages would be static data.
    '--use=abort=',
  ],
  {
    readFile: (name, base = folder) => {
      try {
        return readFileSync(resolve(folder, base, name), 'utf8');
      } catch {
        return null;
      }
    },
    writeFile: (name, contents) => void outputs.set(name, contents),
    listFiles: () => [],
  },
);
if (error) {
  console.error(stderr.toString() || error.message);
  process.exit(1);
}

const binary = outputs.get('kernels.wasm');
const module = new WebAssembly.Module(binary);
const names = WebAssembly.Module.exports(module)
  .filter(({ kind, name }) => kind === 'function' && name !== 'run')
  .map(({ name }) => name)
  .sort();
const lines = Buffer.from(binary)
  .toString('base64')
  .match(/.{1,100}/g);
const text = `// Generated from assembly/ by \`npm run build:kernels\`. Not to be edited.

/** The kernels: what \`launch\` takes. */
export const kernelNames = [
${names.map((name) => `  '${name}',`).join('\n')}
] as const;

export type KernelName = (typeof kernelNames)[number];

/** The module, ${binary.length} bytes, in base64. */
export const kernelsBase64 = [
${lines.map((line) => `  '${line}',`).join('\n')}
].join('');
`;

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('src/module/kernels.ts is not what assembly/ compiles to: run `npm run build:kernels`.');
    process.exitCode = 1;
  }
} else {
  writeFileSync(target, text);
  console.log(`${names.length} kernels, ${binary.length} bytes`);
}
