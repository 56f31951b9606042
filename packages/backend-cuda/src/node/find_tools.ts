/** Looks for the programs that set-up runs, and tries each. */
import { closeSync, mkdirSync, openSync, readSync, realpathSync, writeFileSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { TenonError } from '@tenon-ml/core/errors';
import { type Ran, type RunTool, tail } from './tool.js';
import type { Work } from './work.js';

/** A program that was tried. */
export interface Compiler {
  readonly command: readonly string[];
  /** What it says of itself: its first line. */
  readonly version: string;
}

export interface Python {
  readonly command: string;
  /** `3.11.7` */
  readonly version: string;
  readonly pip: string;
}

/** It must take C++17, and make libraries. */
const TRIAL = `#include <optional>
#include <string>
extern "C" int tenon() { if constexpr (sizeof(int) > 1) return std::optional<std::string>("C++17")->size(); return 0; }
`;

/**
 * A compiler of C++17 for this machine: the one asked for, or the first that works of $CXX, c++, g++ and clang++. Throws
 * `BACKEND_UNAVAILABLE`.
 */
export async function findCompiler(asked: string | undefined, work: Work, run: RunTool): Promise<Compiler> {
  const named = asked === undefined ? [process.env.CXX ?? '', 'c++', 'g++', 'clang++'] : [asked];
  const refusals: string[] = [];
  let said = '';
  for (const name of named) {
    const command = commandOf(name);
    if (command.length === 0) continue;
    const tried = await tryCompiler(command, work, run);
    if ('version' in tried) return { command, version: tried.version };
    refusals.push(`${name} ${tried.refusal}`);
    said ||= tried.said;
  }
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    where: asked === undefined ? undefined : '--compiler',
    expected: 'a compiler of C++17',
    got: `none: ${refusals.join('; ')}`,
    hint: `Install one (Debian and Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++), or name one with --compiler.${lastWords(said, work)}`,
  });
}

async function tryCompiler(
  command: readonly string[],
  work: Work,
  run: RunTool,
): Promise<{ version: string } | { refusal: string; said: string }> {
  const shown = await run([...command, '--version']);
  if (shown.failure) return { refusal: failed(shown), said: '' };
  const folder = join(work.folder, 'trial');
  mkdirSync(folder, { recursive: true });
  const [source, library] = [join(folder, 'trial.cc'), join(folder, 'trial.so')];
  writeFileSync(source, TRIAL);
  const ran = await run([...command, '-std=c++17', '-fPIC', '-shared', source, '-o', library]);
  if (ran.code !== 0) return { refusal: "can't compile C++17", said: ran.output };
  const machine = elfMachine(library);
  if (machine !== process.arch) return { refusal: `compiles for ${machine}`, said: '' };
  return { version: shown.stdout.split('\n')[0].trim() || command.join(' ') };
}

/**
 * A Python 3 with pip: the one asked for, or the first that works of python3 and python. Throws `BACKEND_UNAVAILABLE`.
 */
export async function findPython(asked: string | undefined, work: Work, run: RunTool): Promise<Python> {
  const refusals: string[] = [];
  let withoutPip = false;
  let said = '';
  for (const name of asked === undefined ? ['python3', 'python'] : [asked]) {
    const command = pathOf(name);
    const ran = await run([command, '-c', 'import sys; print("%d.%d.%d" % sys.version_info[:3])']);
    const version = /^(\d+)\.\d+\.\d+$/m.exec(ran.stdout);
    if (!version || ran.code !== 0) {
      refusals.push(`${name} ${ran.failure ? failed(ran) : 'is no Python that runs'}`);
      said ||= ran.output;
    } else if (version[1] === '2') {
      refusals.push(`${name} is Python ${version[0]}`);
    } else {
      const pip = await run([command, '-m', 'pip', '--version']);
      const found = /^pip (\S+)/m.exec(pip.stdout);
      if (pip.code === 0 && found) return { command, version: version[0], pip: found[1] };
      refusals.push(`${name} (Python ${version[0]}) has no pip`);
      withoutPip = true;
    }
  }
  const hint = withoutPip
    ? 'Install it (Debian and Ubuntu: apt-get install python3-pip; elsewhere: python3 -m ensurepip), or name another Python with --python.'
    : 'Install them (Debian and Ubuntu: apt-get install python3-pip; Fedora: dnf install python3-pip), or name a Python with --python.';
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    where: asked === undefined ? undefined : '--python',
    expected: "a Python 3 with pip, which fetches TensorFlow's libraries",
    got: `none: ${refusals.join('; ')}`,
    hint: `${hint} With --libtensorflow no Python is needed.${lastWords(said, work)}`,
  });
}

/** npm: the one that came with this Node, or else the one on the PATH. Throws `BACKEND_UNAVAILABLE`. */
export async function findNpm(): Promise<readonly string[]> {
  const folders = [dirname(process.execPath), ...(process.env.PATH ?? '').split(delimiter)];
  for (const folder of folders.filter((path) => path !== '')) {
    const path = join(folder, 'npm');
    try {
      await access(path, constants.X_OK);
      const real = realpathSync(path);
      // The script itself asks the PATH for a Node, which may be none or another one.
      return real.endsWith('.js') ? [process.execPath, real] : [path];
    } catch {
      // The next one.
    }
  }
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    expected: "npm, which fetches the binding's sources",
    got: 'none, neither beside this Node nor on the PATH',
    hint: 'Install it, or give the package with --package FILE.tgz (made by `npm pack` elsewhere).',
  });
}

/** What programs end their messages with: the reason, in their own words. */
export function lastWords(output: string, work: Work, count?: number): string {
  const last = tail(output, count);
  return last === '' ? '' : ` The last lines of ${work.logFile}:\n${last}`;
}

/** A program's name, or its path from the folder that the user is in. */
function pathOf(name: string): string {
  return name.includes('/') ? resolve(name) : name;
}

/** A program with arguments, as in CXX='ccache g++'; a path that is there may hold spaces. */
function commandOf(text: string): string[] {
  try {
    if (text.includes('/')) return [realpathSync(text) && resolve(text)];
  } catch {
    // It has arguments, or isn't there.
  }
  const [program, ...args] = text.split(/\s+/).filter((part) => part !== '');
  return program === undefined ? [] : [pathOf(program), ...args];
}

function failed({ failure }: Ran): string {
  if (failure === 'ENOENT') return 'was not found';
  return failure === 'EACCES' ? 'may not be run' : `can't be started (${failure})`;
}

/** For which of Node's architectures a library is, by its first bytes. */
export function elfMachine(path: string): string {
  const bytes = Buffer.alloc(20);
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes, 0, bytes.length, 0);
  } finally {
    closeSync(file);
  }
  if (bytes.toString('latin1', 0, 4) !== '\x7fELF') return 'no Linux machine';
  const machine = bytes.readUInt16LE(18);
  return { 62: 'x64', 183: 'arm64', 3: 'ia32', 40: 'arm' }[machine] ?? `machine ${machine}`;
}
