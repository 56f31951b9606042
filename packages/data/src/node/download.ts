import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isTenonError, TenonError } from '@tenon-ml/core';
import { storageError } from '@tenon-ml/core/node';
import { claimPartial, type Partial } from './partial.js';

/** What a file has to be, as its publisher says. */
export interface Checksum {
  readonly algorithm: 'md5' | 'sha256';
  /** In hexadecimal digits. */
  readonly digest: string;
}

/** How far a download is, in bytes. */
export interface DownloadProgress {
  readonly received: number;
  /** Absent where the server doesn't say. */
  readonly total?: number;
}

export interface DownloadOptions {
  /** The file that is to be written; its folder is made. */
  readonly path: string;
  readonly checksum?: Checksum;
  /** Is called for every piece that arrives. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Ends the download; what has come is kept. */
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte after which a connection counts as broken; 30,000 by default. */
  readonly patience?: number;
}

/** Attempts in a row that bring not one byte. */
const fruitlessAttempts = 3;
/** How often a file may begin anew because the server changed or contradicted itself. */
const restarts = 3;

/**
 * Downloads a file, whole or not at all: it is at `path` only once it is complete, has the checksum and is on the disk.
 *
 * A connection that breaks off is taken up where it was (Range with If-Range), and again as long as it brings bytes;
 * three attempts in a row without any end it. What has come is kept beside `path`, and the next call goes on from there,
 * in another process too. Begins anew where the server knows no ranges, or has another file by now.
 *
 * Throws `DOWNLOAD_FAILED` for a server that can't be reached, refuses, or breaks off for good; `DATA_INVALID` for a file
 * that isn't the one of the checksum (it is deleted); `STORAGE_FULL`, `PERMISSION_DENIED`, `STORAGE_FAILED`; and the
 * signal's reason.
 */
export async function downloadFile(url: string, options: DownloadOptions): Promise<void> {
  const { path, checksum, signal } = options;
  signal?.throwIfAborted();
  const partial = await storing(path, () => claimPartial(path));
  try {
    await receive(url, partial, options);
    if (checksum && (await digestOf(partial.file, checksum.algorithm)) !== checksum.digest) {
      // The parts may be of two files, where the server didn't say which they are of.
      if (partial.joined) {
        await storing(path, () => partial.restart({ url }));
        await receive(url, partial, options);
      }
      const found = await digestOf(partial.file, checksum.algorithm);
      if (found !== checksum.digest) throw wrongChecksum(url, checksum, found, await partial.length());
    }
    await storing(path, () => putInPlace(partial.file, path));
  } catch (error) {
    const unfinished = signal?.aborted || (isTenonError(error) && error.code === 'DOWNLOAD_FAILED');
    const keep = unfinished && (await partial.length()) > 0;
    await (keep ? partial.release() : partial.remove()).catch(() => {});
    throw error;
  }
  await partial.remove().catch(() => {});
}

/** The digest of a file, in hexadecimal. */
export async function digestOf(path: string, algorithm: Checksum['algorithm']): Promise<string> {
  const hash = createHash(algorithm);
  for await (const bytes of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(bytes);
  return hash.digest('hex');
}

/** Receives until the end, over as many connections as it takes. */
async function receive(url: string, partial: Partial, options: DownloadOptions): Promise<void> {
  const { path, signal } = options;
  let fruitless = 0;
  let begun = 0;
  for (;;) {
    const origin = await partial.origin();
    // Without a checksum only a validator can tell whether the rest belongs to it.
    const usable = origin?.url === url && (options.checksum || origin.validator);
    const before = usable ? await partial.length() : 0;
    const outcome = await attempt(url, partial, before, origin?.validator, options);
    signal?.throwIfAborted();
    if (outcome === 'complete') return;
    if (outcome === 'restart') {
      if (++begun > restarts) {
        throw failed(url, 'the server contradicts itself about the length of the file', path);
      }
      await storing(path, () => partial.restart({ url }));
      continue;
    }
    fruitless = (await partial.length()) > before ? 0 : fruitless + 1;
    if (fruitless >= fruitlessAttempts) throw await gaveUp(url, partial, outcome, path);
    await delay(fruitless === 0 ? 0 : 250 * 2 ** fruitless, undefined, { signal }).catch(() => {});
    signal?.throwIfAborted();
  }
}

/** How a connection broke, and how much there should be. */
interface Broken {
  readonly cause: unknown;
  readonly total?: number;
}

/** One connection: from byte `from` on, to the end if it holds. */
async function attempt(
  url: string,
  partial: Partial,
  from: number,
  validator: string | undefined,
  { path, onProgress, signal, patience = 30_000 }: DownloadOptions,
): Promise<'complete' | 'restart' | Broken> {
  const idle = new AbortController();
  const wait = (): NodeJS.Timeout =>
    setTimeout(() => idle.abort(new Error(`nothing came for ${patience / 1000} s`)), patience);
  let timer = wait();
  let total: number | undefined;
  try {
    const response = await fetch(url, {
      headers: {
        // The bytes as they are: a length and ranges are of those.
        'accept-encoding': 'identity',
        ...(from > 0 && { range: `bytes=${from}-` }),
        ...(from > 0 && validator !== undefined && { 'if-range': validator }),
      },
      signal: signal ? AbortSignal.any([signal, idle.signal]) : idle.signal,
    });
    const { status, headers, body } = response;
    const [, start, whole] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? [];
    if (status === 416 && from > 0) {
      await body?.cancel();
      partial.joined = true;
      return Number(whole) === from ? 'complete' : 'restart';
    }
    if (status === 206) {
      if (Number(start) !== from) {
        await body?.cancel();
        return 'restart';
      }
      partial.joined = true;
      if (whole !== undefined) total = Number(whole);
    } else if (status === 200) {
      const etag = headers.get('etag') ?? undefined;
      const strong = etag?.startsWith('W/') ? undefined : etag;
      const origin = { url, validator: strong ?? headers.get('last-modified') ?? undefined };
      await storing(path, () => partial.restart(origin));
      const length = headers.get('content-length');
      if (length !== null) total = Number(length);
    } else {
      await body?.cancel();
      const reason = `the server answers ${status} ${response.statusText}`.trim();
      if (status === 408 || status === 429 || status >= 500) return { cause: new Error(reason) };
      throw failed(url, reason, path);
    }

    let received = status === 206 ? from : 0;
    const handle = await storing(path, () => open(partial.file, 'a'));
    try {
      for await (const bytes of body ?? []) {
        clearTimeout(timer);
        timer = wait();
        await storing(path, () => handle.appendFile(bytes));
        received += bytes.length;
        onProgress?.({ received, ...(total !== undefined && { total }) });
      }
    } finally {
      await handle.close();
    }
    if (total === undefined || received === total) return 'complete';
    return { cause: new Error('the connection ended'), total };
  } catch (error) {
    if (isTenonError(error) || signal?.aborted) throw signal?.aborted ? signal.reason : error;
    return { cause: idle.signal.aborted ? idle.signal.reason : error, total };
  } finally {
    clearTimeout(timer);
  }
}

async function gaveUp(url: string, partial: Partial, broken: Broken, path: string): Promise<TenonError> {
  const { cause, total } = broken;
  const length = await partial.length();
  if (length === 0) return failed(url, `it could not be downloaded: ${describe(cause)}`, path);
  const of = total === undefined ? '' : ` of ${total}`;
  const message = `it broke off after ${length}${of} bytes, and ${fruitlessAttempts} attempts to go on brought nothing: ${describe(cause)}`;
  return failed(url, message, path, 'Try again, which goes on from there; or fetch');
}

/** fetch says `fetch failed` and keeps why to its cause. */
function describe(error: unknown): string {
  const { cause, message } = error as { cause?: NodeJS.ErrnoException; message?: string };
  const { code, message: reason } = cause ?? {};
  return [code, reason && reason !== code ? reason : cause ? undefined : message].filter(Boolean).join(', ');
}

function failed(url: string, message: string, path: string, begin = 'Fetch'): TenonError {
  return new TenonError({
    code: 'DOWNLOAD_FAILED',
    where: url,
    message,
    hint: `${begin} it by hand, on another machine if this one is offline: curl -fL --create-dirs -o '${path}' '${url}'`,
  });
}

function wrongChecksum(
  url: string,
  { algorithm, digest }: Checksum,
  found: string,
  length: number,
): TenonError {
  return new TenonError({
    code: 'DATA_INVALID',
    where: url,
    expected: `a file with the ${algorithm} ${digest}`,
    got: `${length} bytes with ${found}, which were deleted`,
    hint: 'It was changed on its way, or replaced: try again, or from another network.',
  });
}

/** On the disk first, under its name afterwards. */
async function putInPlace(file: string, path: string): Promise<void> {
  await flush(file, 'r+');
  await rename(file, path);
  // Makes the rename last through a loss of power. Windows can't open folders, and needs no such thing.
  if (process.platform !== 'win32') await flush(dirname(path), 'r');
}

async function flush(path: string, flags: string): Promise<void> {
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether there is such a file with such a checksum. */
export async function isIntact(path: string, { algorithm, digest }: Checksum): Promise<boolean> {
  try {
    if (!(await stat(path)).isFile()) return false;
    return (await digestOf(path, algorithm)) === digest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw storageError(error, path, 'read');
  }
}

async function storing<T>(path: string, f: () => Promise<T>): Promise<T> {
  try {
    return await f();
  } catch (error) {
    throw storageError(error, path, 'write');
  }
}
