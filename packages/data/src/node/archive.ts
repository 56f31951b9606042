import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { TenonError } from '@tenon-ml/core';
import { storageError } from '@tenon-ml/core/node';
import { createTarDecoder } from 'modern-tar';

/**
 * Hands the files of a tar archive, plain or compressed with gzip, to `onFile` one after another: those that `wants` says
 * yes to, by their names without folders. Throws `NOT_FOUND`, `PERMISSION_DENIED`, `STORAGE_FAILED`, `DATA_INVALID` for what is no such archive or
 * is cut off, and what `onFile` throws.
 */
export async function readArchive(
  path: string,
  wants: (name: string) => boolean,
  onFile: (name: string, bytes: Uint8Array) => void,
): Promise<void> {
  const compressed = await isGzip(path);
  const decoder = createTarDecoder({ strict: true });
  let own: { readonly error: unknown } | undefined;
  const read = async (bytes: AsyncIterable<Uint8Array>): Promise<void> => {
    const entries = Readable.toWeb(Readable.from(bytes)).pipeThrough(
      decoder as never,
    ) as typeof decoder.readable;
    for await (const { header, body } of entries) {
      const name = header.name.split('/').at(-1) ?? '';
      if (own || header.type !== 'file' || !wants(name)) {
        await body.cancel();
        continue;
      }
      const file = new Uint8Array(header.size);
      let length = 0;
      for await (const piece of body) {
        file.set(piece, length);
        length += piece.length;
      }
      try {
        onFile(name, file.subarray(0, length));
      } catch (error) {
        // Read on: where the checksum of the whole is wrong too, it is the archive that is damaged, not a record.
        own = { error };
      }
    }
  };
  try {
    const source = createReadStream(path, { highWaterMark: 1 << 18 });
    if (compressed) await pipeline(source, createGunzip({ chunkSize: 1 << 18 }), read);
    else await pipeline(source, read);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code && /^E[A-Z]+$/.test(code)) throw storageError(cause, path, 'read');
    throw new TenonError({
      code: 'DATA_INVALID',
      where: path,
      expected: 'a whole .tar.gz archive',
      got: `one that can't be unpacked: ${message}`,
      hint: 'Copy or download it again.',
      cause,
    });
  }
  const failed = own as { readonly error: unknown } | undefined;
  if (failed) throw failed.error;
}

async function isGzip(path: string): Promise<boolean> {
  try {
    const handle = await open(path);
    try {
      const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
      return buffer[0] === 0x1f && buffer[1] === 0x8b;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw storageError(error, path, 'read');
  }
}
