/** Runs other programs: pip, npm, the compiler. */
import { spawn } from 'node:child_process';
import type { Work } from './work.js';

/** A program that has ended. */
export interface Ran {
  /** null where a signal ended it, or where it could not be started. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started: `ENOENT`, `EACCES`. */
  readonly failure?: string;
  readonly stdout: string;
  /** What it wrote to both. */
  readonly output: string;
}

/** Runs programs for one set-up: into its log, with its temporary folder, and none outlives it. */
export type RunTool = (
  command: readonly string[],
  options?: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string },
) => Promise<Ran>;

/** Of an output, as much as is kept to look into; the log has it all. */
const KEPT = 200_000;

/**
 * Each program is the leader of a process group, which is killed when `signal` aborts: Ctrl-C in a terminal reaches none of
 * them by itself, and none goes on alone. Throws the signal's reason then.
 */
export function toolRunner(work: Work, signal: AbortSignal | undefined): RunTool {
  return async (command, { env = {}, cwd = work.folder } = {}) => {
    signal?.throwIfAborted();
    work.log(`$ ${command.map(quoted).join(' ')}\n`);
    const ran = await spawned(command, { env, cwd, work, signal });
    work.log(`[${ran.failure ?? ran.signal ?? ran.code}]\n\n`);
    signal?.throwIfAborted();
    return ran;
  };
}

function spawned(
  [program, ...args]: readonly string[],
  options: { env: NodeJS.ProcessEnv; cwd: string; work: Work; signal: AbortSignal | undefined },
): Promise<Ran> {
  const { env, cwd, work, signal } = options;
  return new Promise((resolve) => {
    let stdout = '';
    let output = '';
    const child = spawn(program, args, {
      cwd,
      // Messages are looked into, and are English then.
      env: { ...process.env, LC_ALL: 'C.UTF-8', TMPDIR: work.temporary, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    work.child(child.pid);
    const kill = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended already.
      }
    };
    const end = (ran: Pick<Ran, 'code' | 'signal' | 'failure'>): void => {
      signal?.removeEventListener('abort', kill);
      work.child(undefined);
      resolve({ ...ran, stdout, output });
    };
    signal?.addEventListener('abort', kill, { once: true });
    if (signal?.aborted) kill();
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-KEPT);
      output = (output + text).slice(-KEPT);
      work.log(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-KEPT);
      work.log(text);
    });
    child.once('error', (error: NodeJS.ErrnoException) =>
      end({ code: null, signal: null, failure: error.code ?? error.message }),
    );
    child.once('close', (code, by) => end({ code, signal: by }));
  });
}

/** The last lines of what a program wrote, for a message: at most `count`, none empty. */
export function tail(output: string, count = 4): string {
  const lines = output
    .split(/\r?\n|\r/)
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== '');
  return lines
    .slice(-count)
    .map((line) => `    ${line.length > 300 ? `${line.slice(0, 300)} …` : line}`)
    .join('\n');
}

/** Whether a program failed because the disk is full. */
export function saysDiskFull(output: string): boolean {
  return /no space left on device|errno 28|ENOSPC|disk quota exceeded/i.test(output);
}

/** The PATH's programs are asked for by name; a path is one from the folder that the user is in. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./~<>!-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
