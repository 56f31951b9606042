import { type ArtifactStore, fromZip, memoryStore, TenonError } from '@tenon-ml/core';
import { pathOf, readBytes } from './dropped_files.js';
import { checkLimit, limits } from './limits.js';

/** The files of a model or a run, of which one is a model.json, as a store in memory. */
export async function modelOfFiles(files: readonly File[]): Promise<ArtifactStore> {
  const paths = files.map(pathOf);
  const [model] = paths
    .filter((path) => path === 'model.json' || path.endsWith('/model.json'))
    .sort((a, b) => a.split('/').length - b.split('/').length);
  const folder = model.slice(0, -'model.json'.length);
  checkLimit(
    'model',
    files.reduce((sum, { size }) => sum + size, 0),
    folder.slice(0, -1) || 'the model',
  );
  checkWeights(paths.includes(`${folder}weights.safetensors`), model);
  const read: [string, Uint8Array][] = [];
  for (const [i, file] of files.entries()) {
    read.push([paths[i].slice(folder.length), await readBytes(file, 'model')]);
  }
  return memoryStore(read, folder.slice(0, -1) || 'model');
}

/** The same of a zip, whose files may be in one folder inside. */
export async function modelOfZip(file: File): Promise<ArtifactStore> {
  const path = pathOf(file);
  const zip = fromZip(await readBytes(file, 'model'), path, { limit: limits.model });
  const paths = await zip.list();
  const [model] = paths
    .filter((inner) => inner === 'model.json' || inner.endsWith('/model.json'))
    .sort((a, b) => a.split('/').length - b.split('/').length);
  if (model === undefined) {
    throw new TenonError({
      code: 'ARTIFACT_INVALID',
      where: path,
      expected: 'the zip of a model or a run, with a model.json',
      got: paths.length === 0 ? 'an empty one' : paths.slice(0, 3).join(', '),
      hint: 'Unpack other archives, and drop their folder.',
    });
  }
  const folder = model.slice(0, -'model.json'.length);
  checkWeights(paths.includes(`${folder}weights.safetensors`), `${path}, ${model}`);
  if (folder === '') return zip;
  const inside = paths.filter((inner) => inner.startsWith(folder));
  const read: [string, Uint8Array][] = [];
  for (const inner of inside) read.push([inner.slice(folder.length), await zip.read(inner)]);
  return memoryStore(read, path);
}

function checkWeights(there: boolean, where: string): void {
  if (there) return;
  throw new TenonError({
    code: 'ARTIFACT_INVALID',
    where,
    expected: 'weights.safetensors beside it',
    got: 'none',
    hint: 'Drop both, or the folder that they are in.',
  });
}
