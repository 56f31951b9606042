import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What a server said of a file: enough to go on with it in another process. */
export interface Origin {
  readonly url: string;
  /** A strong ETag or a date, for If-Range: whether the rest that comes is of the same file. */
  readonly validator?: string;
}

/** A file that is not all there yet: a folder beside the target, which one process owns. */
export interface Partial {
  /** Where the bytes are. */
  readonly file: string;
  /** How many there are. */
  length(): Promise<number>;
  origin(): Promise<Origin | undefined>;
  /** Whether bytes of several connections are in it: of one file, as far as the servers said. */
  joined: boolean;
  /** Begins anew, with what a server says of it now. */
  restart(origin: Origin): Promise<void>;
  /** Leaves it to whoever asks next. */
  release(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * The partial download of a file, taken over from a process that left it or died, or a new one.
 *
 * Owners are told apart by the folder's name, `.NAME.PID.UUID.part`, and a rename takes a folder over: it succeeds for
 * one process only. `.NAME.part` belongs to nobody.
 */
export async function claimPartial(path: string): Promise<Partial> {
  const parent = dirname(path);
  const stem = `.${basename(path)}.`;
  await mkdir(parent, { recursive: true });
  const folder = join(parent, `${stem}${process.pid}.${randomUUID()}.part`);
  const free = join(parent, `${stem}part`);
  const orphans = (await readdir(parent)).filter((name) => {
    if (!name.startsWith(stem) || !name.endsWith('.part')) return false;
    const [pid, ...rest] = name.slice(stem.length).split('.');
    return rest.length === 0 || (/^\d+$/.test(pid) && !isAlive(Number(pid)));
  });
  let claimed = false;
  for (const name of orphans) {
    if (claimed) await rm(join(parent, name), { recursive: true, force: true });
    else claimed = await moved(join(parent, name), folder);
  }
  if (!claimed) await mkdir(folder);

  const file = join(folder, 'bytes');
  const description = join(folder, 'origin.json');
  const partial: Partial = {
    file,
    joined: false,
    async length() {
      try {
        return (await stat(file)).size;
      } catch {
        return 0;
      }
    },
    async origin() {
      try {
        return JSON.parse(await readFile(description, 'utf8')) as Origin;
      } catch {
        // Not there, or cut off by a death: what bytes there are can't be told, and are dropped.
        return undefined;
      }
    },
    async restart(origin) {
      // The bytes first: without them a description says nothing wrong.
      await writeFile(file, '');
      await writeFile(description, JSON.stringify(origin));
      partial.joined = false;
    },
    async release() {
      if (!(await moved(folder, free))) await rm(folder, { recursive: true, force: true });
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  return partial;
}

async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
