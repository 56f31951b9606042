import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requires } from '@tenon-ml/testkit';
import { expect, inject, test } from 'vitest';
import { type Ended, filesIn, lastJson, type Running, start } from '../e2e/tenon.js';

/** Whether the tests can run at all. */
export const ready = requires(
  inject('cudaWheels'),
  'a wheel of tensorflow-cpu 2.21, which pip does not find here (pip download tensorflow-cpu)',
);
/**
 * For tests of half a minute and more, whose like others hold too: they are there with TENON_SLOW=1 alone, so that the
 * others fit into CI.
 */
export const slow = (process.env.TENON_SLOW ? test : () => {}) as typeof test;

export const wheels = inject('cudaWheels');
export const base = inject('cudaBase');

/** A folder for what a test makes. */
export function makeFolder(name: string): Promise<string> {
  return mkdtemp(join(inject('cudaFolder'), `${name}-`));
}

/** A cache's folder: not there yet, or with links to what is `base`'s, TensorFlow as it was fetched or all of it. */
export async function makeCache(name: string, holds?: 'fetched' | 'built'): Promise<string> {
  const cache = join(await makeFolder(name), 'cache');
  if (holds === 'built') await promisify(execFile)('cp', ['-al', base, cache]);
  if (holds === 'fetched') await linkFetched(cache);
  return cache;
}

/** As if TensorFlow had been fetched into a cache. */
export async function linkFetched(cache: string): Promise<void> {
  await mkdir(cache, { recursive: true });
  await promisify(execFile)('cp', ['-al', join(base, 'tensorflow'), cache]);
}

/** Starts `tenon setup cuda` for the CPU. */
export function setup(cache: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Running {
  const device = args.some((arg) => arg === '--device' || arg === '--remove') ? [] : ['--device', 'cpu'];
  const { CXX: _, ...environment } = process.env;
  return start(['setup', 'cuda', ...device, ...args, '--json'], {
    env: { ...environment, TENON_CUDA_HOME: cache, ...env },
  });
}

/** Sets up, and expects it to work and to leave a cache that is in order. */
export async function expectSetUp(
  cache: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended & { readonly result: Record<string, unknown> }> {
  const ended = await setup(cache, args, env).ended;
  expect(ended.code, ended.stderr).toBe(0);
  await expectInOrder(cache);
  const current = JSON.parse(await readFile(join(cache, 'current.json'), 'utf8'));
  const result = lastJson(ended);
  expect(result.folder).toBe(join(cache, 'builds', current.build));
  return { ...ended, result };
}

/** Nothing is in a cache but what is whole, and nothing is left of unfinished work. */
export async function expectInOrder(cache: string): Promise<void> {
  const list = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);
  const known = ['builds', 'current.json', 'setup.log', 'tensorflow'];
  expect((await list(cache)).filter((name) => !known.includes(name))).toEqual([]);
  for (const name of await list(join(cache, 'tensorflow'))) {
    expect(await list(join(cache, 'tensorflow', name))).toContain('tensorflow.json');
  }
  for (const name of await list(join(cache, 'builds'))) {
    const files = await filesIn(join(cache, 'builds', name));
    expect(files).toEqual(
      expect.arrayContaining(['build.json', 'dist/index.js', 'lib/napi-v8/tfjs_binding.node']),
    );
  }
}

/** Which TensorFlow a build loads, in a process of a Node. */
export async function loaded(node: string, build: string): Promise<string> {
  const script = 'console.log(require(process.argv[1]).TF_Version)';
  const { stdout } = await promisify(execFile)(node, [
    '-e',
    script,
    join(build, 'lib/napi-v8/tfjs_binding.node'),
  ]);
  return stdout.trim();
}

/** One message, no stack, an exit code of 1; and the same as JSON. */
export function expectError(ended: Ended, code: string, message: RegExp): void {
  expect(ended.code, ended.stderr).toBe(1);
  expect(ended.stderr.match(/^Error: /gm)).toHaveLength(1);
  expect(ended.stderr).toMatch(message);
  expect(ended.stderr).not.toMatch(/\n\s+at |Internal error/);
  const { error } = lastJson(ended) as { error: { code: string; message: string } };
  expect(error.code).toBe(code);
  expect(ended.stderr.trimEnd().endsWith(error.message.trimEnd())).toBe(true);
}

/** Fails in a cache that is not there yet, in which nothing is left then, but the log where something was run. */
export async function expectRefusal(
  args: readonly string[],
  code: string,
  message: RegExp,
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const cache = await makeCache('refused');
  expectError(await setup(cache, args, env).ended, code, message);
  expect((await readdir(cache).catch(() => [])).filter((name) => name !== 'setup.log')).toEqual([]);
}

/** The process that a set-up has started, once its command line matches. */
export async function childOf(cache: string, matching: RegExp): Promise<number> {
  let pid = 0;
  await expect
    .poll(
      async () => {
        for (const name of await readdir(cache).catch(() => [])) {
          const [child] = (await readFile(join(cache, name, 'child'), 'utf8').catch(() => '')).split(' ');
          const command = await readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '');
          if (matching.test(command.replaceAll('\0', ' '))) pid = Number(child);
        }
        return pid;
      },
      { interval: 20, timeout: 30_000 },
    )
    .toBeGreaterThan(0);
  return pid;
}

/** Whether no process of a group runs any more. */
export function isGroupGone(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    // What has ended and was not asked for its code still counts as a process.
    const states = execFileSync('ps', ['-o', 'stat=', '-g', String(pid)], { encoding: 'utf8' });
    return states.split('\n').every((state) => state === '' || state.startsWith('Z'));
  } catch {
    return true;
  }
}

/** A folder with links to programs, to be the whole PATH. */
export async function makePath(programs: readonly string[]): Promise<string> {
  const folder = await makeFolder('path');
  for (const program of programs) {
    const path = execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
    if (existsSync(path)) await symlink(path, join(folder, program));
  }
  return folder;
}

/** A program of a shell's lines. */
export async function makeProgram(name: string, lines: string): Promise<string> {
  const path = join(await makeFolder('program'), name);
  await writeFile(path, `#!/bin/sh\n${lines}\n`);
  await chmod(path, 0o755);
  return path;
}

/**
 * Makes a wheel of files: texts, or paths of files that are stored as they are. Compressing them would take minutes.
 */
export async function makeWheel(
  folder: string,
  name: string,
  files: Readonly<Record<string, string | { readonly path: string }>>,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const wheel = join(folder, name);
  const script = [
    'import json, sys, zipfile',
    'with zipfile.ZipFile(sys.argv[1], "w") as wheel:',
    '    for name, content in json.load(open(sys.argv[2])).items():',
    '        if isinstance(content, str): wheel.writestr(name, content)',
    '        else: wheel.write(content["path"], name)',
  ].join('\n');
  const list = join(await makeFolder('wheel'), 'files.json');
  await writeFile(list, JSON.stringify(files));
  await promisify(execFile)('python3', ['-c', script, wheel, list]);
  return wheel;
}

/** A wheel's METADATA and what else pip looks into. */
export function wheelInfo(project: string, version: string, requirements: readonly string[] = []) {
  const folder = `${project.replaceAll('-', '_')}-${version}.dist-info`;
  const metadata = ['Metadata-Version: 2.1', `Name: ${project}`, `Version: ${version}`];
  return {
    [`${folder}/METADATA`]: [...metadata, ...requirements.map((line) => `Requires-Dist: ${line}`), ''].join(
      '\n',
    ),
    [`${folder}/WHEEL`]: 'Wheel-Version: 1.0\nRoot-Is-Purelib: false\n',
    [`${folder}/RECORD`]: '',
  };
}

/** Files like those in TensorFlow's wheel, small and of no use. */
export function smallFiles(
  project: string,
  options: {
    readonly version?: string;
    readonly requirements?: readonly string[];
    /** What the libraries' first bytes say that they are for. */
    readonly architecture?: 'x64' | 'ia32';
  } = {},
): Record<string, string> {
  const { version = '2.21.0', requirements = [], architecture = 'x64' } = options;
  const machine = architecture === 'ia32' ? '\x03' : process.arch === 'x64' ? '\x3e' : '\xb7';
  const elf = `\x7fELF${'\0'.repeat(14)}${machine}\0${'\0'.repeat(100_000)}`;
  return {
    'tensorflow/libtensorflow_cc.so.2': elf,
    'tensorflow/libtensorflow_framework.so.2': elf,
    'tensorflow/include/tensorflow/c/eager/c_api.h': '',
    ...wheelInfo(project, version, requirements),
  };
}
