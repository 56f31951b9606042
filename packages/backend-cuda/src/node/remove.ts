import { existsSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TenonError } from '@tenon-ml/core/errors';
import { cacheFolder } from '../cache.js';
import { storageError } from './machine.js';
import { sizeOf } from './tensorflow.js';
import { discard, namesIn, openWork, removeStale } from './work.js';

/** What was removed. */
export interface RemovedCuda {
  /** The folder that it was in. */
  readonly folder: string;
  /** How much was freed, in bytes; 0 where there was nothing. */
  readonly bytes: number;
}

/**
 * Removes what `setupCuda` made: builds, fetched libraries, the log, what unfinished set-ups left. Nothing else, should
 * other files be in that folder. Throws `USAGE` while a set-up is at work, `PERMISSION_DENIED`, `STORAGE_FAILED`.
 */
export async function removeCuda(options: { readonly cache?: string } = {}): Promise<RemovedCuda> {
  const folder = options.cache === undefined ? cacheFolder() : resolve(options.cache);
  if (folder === undefined) throw new Error('There is no Node here.');
  if (!existsSync(folder)) return { folder, bytes: 0 };
  try {
    const before = sizeOf(folder);
    const working = await removeStale(folder);
    if (working.length > 0) {
      throw new TenonError({
        code: 'USAGE',
        where: folder,
        message: `a set-up is at work here (process ${working.join(', ')})`,
        hint: 'Wait until it has ended, or stop it (Ctrl-C).',
      });
    }
    const work = openWork(folder);
    try {
      // First, so that nothing points at what goes.
      for (const file of ['current.json', 'setup.log']) await rm(join(folder, file), { force: true });
      for (const kind of ['builds', 'tensorflow']) {
        const within = join(folder, kind);
        // By their names: of some a part may be gone.
        for (const name of namesIn(within).filter((found) => /^(cpu|gpu)-/.test(found))) {
          await discard(join(within, name), work);
        }
        await removeEmpty(within);
      }
    } finally {
      await work.close();
    }
    return { folder, bytes: before - sizeOf(folder) };
  } catch (error) {
    throw storageError(folder, error);
  }
}

async function removeEmpty(folder: string): Promise<void> {
  if (existsSync(folder) && (await readdir(folder)).length === 0) await rmdir(folder);
}
