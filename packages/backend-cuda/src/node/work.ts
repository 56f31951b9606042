/**
 * The folder that one set-up works in: everything is made there and renamed into place once it is whole, so that a set-up
 * that ends early, however it does, leaves nothing behind that looks like a build.
 */
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';

/** A set-up's work folder, which is in the cache and so on the same disk. */
export interface Work {
  readonly cache: string;
  readonly folder: string;
  /** For the temporary files of the tools that are run. */
  readonly temporary: string;
  /** Where the log lies once the set-up has ended. */
  readonly logFile: string;
  /** Adds to the log. */
  log(text: string): void;
  /** Notes the leader of the process group that works in here, for whoever finds the folder without its owner. */
  child(pid: number | undefined): void;
  /** Moves the log to its place and removes the folder. */
  close(): Promise<void>;
}

const PREFIX = 'work-';
const LOG = 'setup.log';

/** Makes a work folder in the cache, which is made too. */
export function openWork(cache: string): Work {
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, `${PREFIX}${process.pid}-`));
  const temporary = join(folder, 'tmp');
  const log = join(folder, LOG);
  const childFile = join(folder, 'child');
  writeFileSync(join(folder, 'owner'), identity(process.pid) ?? '');
  mkdirSync(temporary);
  let logged = false;
  return {
    cache,
    folder,
    temporary,
    logFile: join(cache, LOG),
    log(text) {
      logged = true;
      // A full disk shows in what the tool does next; the log may end early.
      ignoringErrors(() => appendFileSync(log, text));
    },
    child(pid) {
      const id = pid === undefined ? undefined : identity(pid);
      ignoringErrors(() => writeFileSync(childFile, id === undefined ? '' : `${pid} ${id}`));
    },
    async close() {
      if (logged) await rename(log, join(cache, LOG)).catch(() => {});
      await removeFolder(folder);
      // Leaves no empty folder where there was none.
      await rmdir(cache).catch(() => {});
    },
  };
}

/** Removes the work folders whose processes are gone, with what they may have left running. Returns those still at work. */
export async function removeStale(cache: string): Promise<number[]> {
  const working: number[] = [];
  for (const name of namesIn(cache)) {
    const pid = Number(/^work-(\d+)-/.exec(name)?.[1]);
    if (!Number.isInteger(pid)) continue;
    const folder = join(cache, name);
    const owner = readText(join(folder, 'owner'));
    // Without an owner it is a moment old, or never became older.
    if (owner ? isRunning(pid, owner, folder) : isAlive(pid)) {
      working.push(pid);
      continue;
    }
    endChild(readText(join(folder, 'child')));
    await removeFolder(folder);
  }
  return working;
}

/**
 * Renames a folder that is whole to its place. Where another set-up was quicker, its folder stays, and this one is left
 * for the work folder's removal; what is there and isn't whole makes room.
 */
export async function settle(
  from: string,
  to: string,
  isWhole: (folder: string) => boolean,
  work: Work,
): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      return await rename(from, to);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      if (isWhole(to)) return;
      await discard(to, work);
    }
  }
}

/** Moves a folder out of its place at once; what is in it goes with the work folder. */
export async function discard(folder: string, work: Work): Promise<void> {
  await rename(folder, join(mkdtempSync(join(work.folder, 'discarded-')), 'folder'));
}

/** Writes a file so that it is there whole, or as it was. */
export async function writeWhole(work: Work, path: string, value: object): Promise<void> {
  const temporary = join(work.folder, 'whole.json');
  await writeFile(temporary, `${JSON.stringify(value, undefined, 2)}\n`);
  await rename(temporary, path);
}

/** The names in a folder; none where there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** A JSON file's value; undefined where there is none that can be read. */
export function readJson(path: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export async function removeFolder(folder: string): Promise<void> {
  // What was killed a moment ago may still be writing.
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/**
 * What tells a process from a later one of the same number: when it began, since which start of the machine, and in which
 * space of numbers, as containers that share a cache each have their own. Undefined where it is gone.
 */
function identity(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name, in parentheses, may hold anything.
  const began = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return `${began} ${machineIdentity()}`;
}

function machineIdentity(): string {
  const boot = readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
  let space = '';
  ignoringErrors(() => {
    space = readlinkSync('/proc/self/ns/pid');
  });
  return `${boot} ${space} ${hostname()}`;
}

/** Whether a work folder's process runs; one in another container on this machine counts as running. */
function isRunning(pid: number, owner: string, folder: string): boolean {
  const [, boot, space, host] = owner.split(' ');
  const [ownBoot, ownSpace, ownHost] = machineIdentity().split(' ');
  // Another machine that shares this home: nobody can ask it, and no set-up takes a day.
  if (host !== ownHost) return Date.now() - changed(folder) < DAY;
  if (boot !== ownBoot) return false;
  return space === ownSpace ? identity(pid) === owner : true;
}

const DAY = 24 * 3600 * 1000;

/** When something in a folder was last made, in milliseconds. */
function changed(folder: string): number {
  try {
    return statSync(folder).mtimeMs;
  } catch {
    return 0;
  }
}

/** Ends the process group that a process which is gone has left behind. */
function endChild(child: string | undefined): void {
  const [pid, ...id] = (child ?? '').split(' ');
  const leader = Number(pid);
  if (!Number.isInteger(leader) || leader <= 1 || !id.join(' ').endsWith(machineIdentity())) return;
  const now = identity(leader);
  // Another process has taken the number over.
  if (now !== undefined && now !== id.join(' ')) return;
  ignoringErrors(() => process.kill(-leader, 'SIGKILL'));
}

function isAlive(pid: number): boolean {
  return readText(`/proc/${pid}/stat`) !== undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function ignoringErrors(act: () => void): void {
  try {
    act();
  } catch {}
}
