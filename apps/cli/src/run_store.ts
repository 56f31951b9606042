import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type ArtifactStore, fromZip, TenonError } from '@tenon-ml/core';
import { folderStore, storageError } from '@tenon-ml/core/node';

/** A run, or a saved model, to read: its folder, or a zip of it. */
export async function openRunStore(path: string): Promise<ArtifactStore> {
  const location = resolve(path);
  if (!isZip(location)) return folderStore(location);
  try {
    return fromZip(await readFile(location), location);
  } catch (error) {
    throw storageError(error, location, 'read');
  }
}

/** Throws `USAGE` for a zip: what goes on with a run writes into it. */
export function refuseZip(path: string): void {
  const location = resolve(path);
  if (!isZip(location)) return;
  throw new TenonError({
    code: 'USAGE',
    where: location,
    message: 'a run goes on in a folder, and this is a zip of one',
    hint: 'Unpack it, and resume the folder.',
  });
}

/** Whether a path names a zip, going by its name alone. */
export function isZip(path: string): boolean {
  return path.endsWith('.zip');
}
