import { createHash } from 'node:crypto';
import { realpathSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { TenonError } from '@tenon-ml/core';

/**
 * Keeps a run's folder for this process, until what it returns is called: two processes that train into one folder would
 * remove each other's checkpoints. Throws `USAGE` where another one has it.
 *
 * The lock is a local socket, which the system closes with its process: one that was killed leaves nothing behind that
 * looks like a lock. It tells of processes on this machine only, not of those on others that share the folder, nor in
 * other containers.
 */
export async function lockRun(folder: string, address = lockAddress(folder)): Promise<() => void> {
  const server = (await listen(address)) ?? ((await clearDead(address)) ? await listen(address) : undefined);
  if (server) return () => void server.close();
  throw new TenonError({
    code: 'USAGE',
    where: folder,
    message: 'another process is training into this folder',
    hint: 'Wait until it has ended, or stop it (Ctrl-C); then go on with `tenon resume`.',
  });
}

/** Where the lock of a folder listens: in Linux's and Windows' own name spaces, elsewhere as a file. */
export function lockAddress(folder: string, platform: NodeJS.Platform = process.platform): string {
  const name = `tenon-run-${createHash('sha256').update(realPath(folder)).digest('hex').slice(0, 32)}`;
  if (platform === 'linux') return `\0${name}`;
  if (platform === 'win32') return `\\\\.\\pipe\\${name}`;
  return join(tmpdir(), `${name}.sock`);
}

/** The path without links, also of a folder that is yet to be made. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), basename(path));
  }
}

/** The server; undefined where another one listens there, or did. */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    // The lock alone keeps no process alive.
    server.listen(path, () => resolve(server)).unref();
  });
}

/** Removes a socket's file that a dead process has left behind. Says whether it did. */
function clearDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code !== 'ECONNREFUSED') return resolve(false);
      rmSync(path, { force: true });
      resolve(true);
    });
  });
}
