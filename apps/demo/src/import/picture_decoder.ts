import { TenonError } from '@tenon-ml/core/errors';
import type { PictureDecoder } from './pictures.js';
import { type Channels, coverSquare } from './resize.js';

/** What the worker is sent. */
export interface DecodeRequest {
  readonly id: number;
  readonly file: File;
  readonly side: number;
  readonly channels: Channels;
}

/** What it answers. */
export interface DecodeAnswer {
  readonly id: number;
  readonly pixels: Uint8Array<ArrayBuffer> | null;
}

/** Decodes in a worker, which `close` ends. */
export function workerDecoder(): PictureDecoder {
  const worker = new Worker(new URL('./picture_worker.ts', import.meta.url), { type: 'module' });
  const waiting = new Map<
    number,
    { resolve(pixels: Uint8Array | null): void; reject(error: unknown): void }
  >();
  let count = 0;
  worker.onmessage = ({ data: { id, pixels } }: MessageEvent<DecodeAnswer>) => {
    waiting.get(id)?.resolve(pixels);
    waiting.delete(id);
  };
  worker.onerror = ({ message }) => {
    const error = new TenonError({
      code: 'OUT_OF_MEMORY',
      where: 'pictures',
      message: `the worker that decodes pictures has ended: ${message || 'the browser says no more'}`,
      hint: 'Drop fewer or smaller pictures.',
    });
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  return {
    decode: (file, side, channels) =>
      new Promise((resolve, reject) => {
        const id = count++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, file, side, channels } satisfies DecodeRequest);
      }),
    close: () => worker.terminate(),
  };
}

/** A larger square is first drawn at this side, which blurs a little; the mean over areas does the rest. */
const largestSide = 1024;

/**
 * A file's picture as uint8 [side, side, channels], as `coverSquare` makes it; null where the browser can't decode it. Of
 * an animation the first frame; turned as its EXIF says.
 */
export async function decodePicture(
  file: Blob,
  side: number,
  channels: Channels,
): Promise<Uint8Array<ArrayBuffer> | null> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  try {
    const { width, height } = bitmap;
    const size = Math.min(width, height);
    const drawn = Math.min(size, largestSide);
    const context = new OffscreenCanvas(drawn, drawn).getContext('2d', { willReadFrequently: true });
    if (!context) return null;
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, (width - size) / 2, (height - size) / 2, size, size, 0, 0, drawn, drawn);
    return coverSquare(context.getImageData(0, 0, drawn, drawn), side, channels).data;
  } finally {
    bitmap.close();
  }
}
