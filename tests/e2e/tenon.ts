import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
export const program = join(root, 'apps/cli/dist/main.js');
export const fixtures = join(import.meta.dirname, 'fixtures');

/** A process that has ended. */
export interface Ended {
  /** null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `tenon` that is running. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves with the first line of stdout that `matches`; rejects where the process ends without one. */
  line(matches: (line: string) => boolean): Promise<string>;
}

/** Starts the built command line, as a user's shell would. */
export function start(args: readonly string[], options: SpawnOptions = {}): Running {
  if (!existsSync(program)) throw new Error('apps/cli is not built: npm run build');
  return startNode([program, ...args], options);
}

/** Runs Node itself to its end; `execPath` is another one than this. */
export function runNode(
  args: readonly string[],
  { execPath, ...options }: SpawnOptions & { readonly execPath?: string } = {},
): Promise<Ended> {
  return startNode(args, options, execPath).ended;
}

function startNode(args: readonly string[], options: SpawnOptions, node = process.execPath): Running {
  const child = spawn(node, args, {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const watch of watchers) watch();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done({ code, stdout, stderr }));
  });
  return {
    child,
    ended,
    line: (matches) =>
      new Promise((found, fail) => {
        const watch = (): void => {
          const line = stdout.split('\n').slice(0, -1).find(matches);
          if (line === undefined) return;
          watchers.delete(watch);
          found(line);
        };
        watchers.add(watch);
        watch();
        ended.then(
          ({ code, stderr: errors }) => fail(new Error(`It ended with ${code} before that line: ${errors}`)),
          fail,
        );
      }),
  };
}

/** Runs the built command line to its end. */
export function tenon(args: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
  return start(args, options).ended;
}

export function lastJson({ stdout }: Ended): Record<string, unknown> {
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/** Every file below a folder by its path, hidden ones included; empty where there is no folder. */
export async function filesIn(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** What a finished run holds, without the times. */
export async function outcome(run: string): Promise<Record<string, unknown>> {
  const bytes = (name: string): Promise<Buffer> => readFile(join(run, name));
  const { seconds: _, ...report } = JSON.parse((await bytes('report.json')).toString());
  return {
    report,
    events: (await bytes('events.jsonl')).toString(),
    model: (await bytes('model.json')).toString(),
    weights: (await bytes('weights.safetensors')).toString('base64'),
  };
}
