import { checkLimit } from '../import/limits.js';
import { renaming } from '../worker/calls.js';
import type { Picture } from '../worker/protocol.js';

/** Larger pictures are brought to this side: the network sees less than that of them. */
const SIDE = 512;

/** A picture file as pixels; null where the browser can't decode it. Throws 'TOO_LARGE' before reading one that is. */
export async function readPicture(file: File): Promise<Picture | null> {
  await renaming({ INVALID_ARGUMENT: 'TOO_LARGE' }, async () => checkLimit('picture', file.size, file.name));
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) return null;
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return { width, height, rgba: context.getImageData(0, 0, width, height).data as Picture['rgba'] };
}
