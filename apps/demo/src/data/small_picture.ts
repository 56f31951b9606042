import type { Picture } from '../worker/protocol.js';

/** The side that pictures of one's own are kept with: twice the largest that a network is given. */
const SIDE = 96;

/** The middle square of what a canvas can draw, made small. Null where the browser gives no canvas. */
export function smallPicture(source: CanvasImageSource, width: number, height: number): Picture | null {
  const size = Math.min(width, height);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context || size === 0) return null;
  context.imageSmoothingQuality = 'high';
  context.drawImage(source, (width - size) / 2, (height - size) / 2, size, size, 0, 0, SIDE, SIDE);
  return { width: SIDE, height: SIDE, rgba: context.getImageData(0, 0, SIDE, SIDE).data };
}

/** The same of a picture. */
export function shrunk(picture: Picture): Picture | null {
  const { width, height, rgba } = picture;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')?.putImageData(new ImageData(rgba, width, height), 0, 0);
  return smallPicture(canvas, width, height);
}
