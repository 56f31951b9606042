import { type ArtifactStore, isTenonError, TenonError } from '@tenon-ml/core';
import { parseCifar10 } from '@tenon-ml/data/cifar10';
import { createTarDecoder } from 'modern-tar';
import { baseName, pathOf, readBytes } from './dropped_files.js';
import type { ImportOptions } from './import_files.js';
import { checkLimit } from './limits.js';

const wanted = /^(data_batch_\d+|test_batch)\.bin$/;

/** Writes CIFAR-10's binary files into the store under their names, each checked record by record; how many records. */
export async function importCifar10(
  files: readonly File[],
  store: ArtifactStore,
  { onProgress, signal }: ImportOptions = {},
): Promise<number> {
  for (const file of files) checkLimit('cifar10File', file.size, pathOf(file));
  checkTraining(
    files.map(({ name }) => name),
    'what was dropped',
  );
  let records = 0;
  for (const [i, file] of files.entries()) {
    signal?.throwIfAborted();
    records += await keep(file.name, await readBytes(file, 'cifar10File'), store);
    onProgress?.({ done: i + 1, total: files.length });
  }
  return records;
}

/**
 * The same from `cifar-10-binary.tar.gz`, unpacked as it is read. Throws `DATA_INVALID` for an archive that is cut off or
 * damaged, or holds none of these files.
 */
export async function importCifar10Archive(
  archive: File,
  store: ArtifactStore,
  { onProgress, signal }: ImportOptions = {},
): Promise<number> {
  const path = pathOf(archive);
  checkLimit('archive', archive.size, path);
  const names: string[] = [];
  let records = 0;
  let done = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(bytes, controller) {
      signal?.throwIfAborted();
      done += bytes.length;
      onProgress?.({ done, total: archive.size });
      controller.enqueue(bytes);
    },
  });
  try {
    const entries = archive
      .stream()
      .pipeThrough(counted)
      .pipeThrough(new DecompressionStream('gzip'))
      .pipeThrough(createTarDecoder({ strict: true }));
    for await (const { header, body } of entries) {
      const name = baseName(header.name);
      if (header.type !== 'file' || !wanted.test(name)) {
        await body.cancel();
        continue;
      }
      checkLimit('cifar10File', header.size, `${path}, ${name}`);
      const bytes = new Uint8Array(await new Response(body).arrayBuffer());
      records += await keep(name, bytes, store);
      names.push(name);
    }
  } catch (cause) {
    if (isTenonError(cause)) throw cause;
    signal?.throwIfAborted();
    throw new TenonError({
      code: 'DATA_INVALID',
      where: path,
      expected: 'a whole .tar.gz archive',
      got: `one that can't be unpacked: ${(cause as Error).message}`,
      hint: 'Copy or download it again.',
      cause,
    });
  }
  checkTraining(names, path);
  return records;
}

async function keep(name: string, bytes: Uint8Array, store: ArtifactStore): Promise<number> {
  const records = parseCifar10(bytes, name).target.shape[0];
  await store.write(name, bytes);
  return records;
}

function checkTraining(names: readonly string[], where: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (names.some((name) => name.startsWith('data_batch_')) && twice === undefined) return;
  throw new TenonError({
    code: 'DATA_INVALID',
    where,
    expected: 'data_batch_1.bin to data_batch_5.bin, as many of them as you have, and test_batch.bin',
    got: twice ? `${twice} twice` : names.length === 0 ? 'none of them' : `${names.join(', ')} alone`,
    hint: "Take CIFAR-10's binary version, cifar-10-binary.tar.gz.",
  });
}
