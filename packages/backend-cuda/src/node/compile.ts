/** Builds the binding. */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { TenonError } from '@tenon-ml/core/errors';
import { BINDING } from '../cache.js';
import { type Compiler, lastWords } from './find_tools.js';
import { diskFull } from './machine.js';
import type { TensorFlow } from './tensorflow.js';
import { type RunTool, saysDiskFull } from './tool.js';
import type { Work } from './work.js';

const SOURCES = ['tfjs_backend', 'tfjs_binding'];
const COPIED = ['package.json', 'dist', 'binding', 'LICENSE'];

/** Copies the package's folder, builds its binding into the copy, and returns the copy's folder. */
export async function compileBinding(
  source: string,
  tensorflow: TensorFlow,
  compiler: Compiler,
  work: Work,
  run: RunTool,
): Promise<string> {
  const folder = join(work.folder, 'build');
  mkdirSync(folder);
  for (const name of COPIED) {
    if (!existsSync(join(source, name))) continue;
    cpSync(join(source, name), join(folder, name), { recursive: true, dereference: true });
  }
  const binding = join(folder, BINDING);
  mkdirSync(dirname(binding), { recursive: true });
  const objects = join(work.folder, 'objects');
  mkdirSync(objects);

  const compile = async (...args: string[]): Promise<void> => {
    const ran = await run([...compiler.command, ...args]);
    if (ran.code === 0) return;
    if (saysDiskFull(ran.output)) throw diskFull(work.cache);
    const errors = ran.output.split('\n').filter((line) => /error/i.test(line));
    throw new TenonError({
      code: 'BACKEND_UNAVAILABLE',
      message: `${compiler.command.join(' ')} could not build the binding${ran.signal ? ` (it was ended by ${ran.signal})` : ''}`,
      hint: `It is ${compiler.version}; another one can be named with --compiler.${lastWords(errors.slice(0, 4).join('\n') || ran.output, work)}`,
    });
  };
  const headers = [join(source, 'binding'), nodeHeaders(), tensorflow.include].map((path) => `-I${path}`);
  const settings = ['-std=c++17', '-O2', '-fPIC', '-w', '-DNAPI_VERSION=8'];
  for (const name of SOURCES) {
    await compile(
      ...settings,
      ...headers,
      '-c',
      join(source, 'binding', `${name}.cc`),
      '-o',
      join(objects, `${name}.o`),
    );
  }
  await link(binding, objects, tensorflow, compile);
  return folder;
}

/**
 * TensorFlow's libraries have hundreds of thousands of symbols, which a linker reads for half a minute. It is given empty
 * ones by the same names instead: the loader finds the symbols in the real ones, all at once (`-z now`), so that one that
 * is missing shows when the binding is tried.
 */
async function link(
  binding: string,
  objects: string,
  { libraries, names }: TensorFlow,
  compile: (...args: string[]) => Promise<void>,
): Promise<void> {
  const empty = join(objects, 'empty.cc');
  writeFileSync(empty, '\n');
  for (const name of names) {
    await compile(
      '-shared',
      '-fPIC',
      '-nostdlib',
      ...linker('-soname', name),
      empty,
      '-o',
      join(objects, name),
    );
  }
  await compile(
    '-shared',
    ...SOURCES.map((name) => join(objects, `${name}.o`)),
    ...linker('--no-as-needed'),
    `-L${objects}`,
    ...names.map((name) => `-l:${name}`),
    // As an RPATH, which comes before LD_LIBRARY_PATH.
    ...linker('-z', 'now', '--disable-new-dtags', '-rpath', libraries),
    '-o',
    binding,
  );
}

/** Each for itself: `-Wl` would end an argument at a comma, which a path may have. */
function linker(...args: string[]): string[] {
  return args.flatMap((argument) => ['-Xlinker', argument]);
}

/** The headers of Node-API, which are the same for every Node; not every Node comes with its own. */
function nodeHeaders(): string {
  const manifest = createRequire(import.meta.url).resolve('node-api-headers/package.json');
  return join(dirname(manifest), 'include');
}
