import {
  formatShape,
  full,
  type Key,
  type NdArray,
  TenonError,
  type TypedArray,
  zeros,
} from '@tenon-ml/core';
import type { Example } from './dataset.js';
import { checkCount } from './source.js';

/**
 * A random change of images [batch, height, width, channels], of any dtype: each image has draws of its own from the key,
 * and the images that are given stay as they are.
 */
export type Augmentation = (images: NdArray, key: Key) => NdArray;

/**
 * Random changes of an example's image, for `map` with a key:
 *
 * ```ts
 * train.shuffle({ key }).batch(32).map(augment(randomCrop({ padding: 4 }), randomFlip()), { key })
 * ```
 *
 * Takes examples with an input of [height, width, channels], and batches of them: what becomes of an image depends on
 * the key, the epoch and the position alone. After `batch` it is faster, and draws other numbers than before it.
 * Augmentation i is given `context.key.foldIn(i)`.
 *
 * Throws `SHAPE_MISMATCH` for inputs that are no images.
 */
export function augment(
  ...augmentations: readonly Augmentation[]
): <E extends Example<NdArray, unknown>>(example: E, context: { readonly key: Key }) => E {
  return (example, { key }) => {
    const { input } = example;
    const rank = input.shape.length;
    if (rank !== 3 && rank !== 4) {
      throw new TenonError({
        code: 'SHAPE_MISMATCH',
        where: 'augment',
        expected: 'images [height, width, channels], or a batch of them',
        got: formatShape(input.shape),
      });
    }
    const single = rank === 3;
    let images: NdArray = single ? { ...input, shape: [1, ...input.shape] } : input;
    for (const [i, augmentation] of augmentations.entries()) images = augmentation(images, key.foldIn(i));
    return { ...example, input: single ? { ...images, shape: images.shape.slice(1) } : images };
  };
}

export interface RandomCropOptions {
  /** How many pixels of `fill` are put around the image on each side. */
  readonly padding: number;
  /** The height and width of what is cut out; the image's own by default. */
  readonly size?: readonly [height: number, width: number];
  /** The value of the padding in all channels, 0 by default; one that the dtype holds. */
  readonly fill?: number;
}

/**
 * A window of the padded image, all positions equally likely: shifts by up to `padding` pixels where the size is the
 * image's. Four pixels are what CIFAR-10's residual networks were trained with (He and others, "Deep residual learning
 * for image recognition", CVPR 2016, section 4.2); PyTorch's `RandomCrop(32, padding=4)`.
 *
 * Throws `INVALID_ARGUMENT` for a padding that is no count, `SHAPE_MISMATCH` for a size above the padded image's.
 */
export function randomCrop({ padding, size, fill = 0 }: RandomCropOptions): Augmentation {
  checkCount(padding, 0, 'randomCrop: padding');
  for (const length of size ?? []) checkCount(length, 1, 'randomCrop: size');
  return (images, key) => {
    const [count, height, width, channels] = images.shape;
    const [outHeight, outWidth] = size ?? [height, width];
    const [rows, columns] = [height + 2 * padding - outHeight + 1, width + 2 * padding - outWidth + 1];
    if (rows < 1 || columns < 1) {
      throw new TenonError({
        code: 'SHAPE_MISMATCH',
        where: 'randomCrop',
        expected: `images of at least ${outHeight} × ${outWidth}, padded by ${padding} on each side`,
        got: formatShape(images.shape),
      });
    }
    const source = images.data;
    const cropped = full([count, outHeight, outWidth, channels], fill, images.dtype);
    const words = key.bits(2 * count);
    for (let i = 0; i < count; i++) {
      const top = below(words[2 * i], rows) - padding;
      const left = below(words[2 * i + 1], columns) - padding;
      // The columns of the window that lie in the image.
      const first = Math.max(0, left);
      const last = Math.min(width, left + outWidth);
      if (first >= last) continue;
      for (let y = Math.max(0, top); y < Math.min(height, top + outHeight); y++) {
        const from = ((i * height + y) * width + first) * channels;
        const to = ((i * outHeight + y - top) * outWidth + first - left) * channels;
        copy(cropped.data, source.subarray(from, from + (last - first) * channels), to);
      }
    }
    return cropped;
  };
}

export interface RandomFlipOptions {
  /** From 0 to 1, ½ by default. */
  readonly probability?: number;
}

/**
 * The image mirrored left to right, with the given probability: PyTorch's `RandomHorizontalFlip`. Throws
 * `INVALID_ARGUMENT` for a probability that is none.
 */
export function randomFlip({ probability = 0.5 }: RandomFlipOptions = {}): Augmentation {
  if (!(probability >= 0 && probability <= 1)) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'randomFlip',
      expected: 'a probability from 0 to 1',
      got: String(probability),
    });
  }
  return (images, key) => {
    const [count, height, width, channels] = images.shape;
    const flipped = zeros(images.shape, images.dtype);
    const words = key.bits(count);
    const bytes = height * width * channels;
    for (let i = 0; i < count; i++) {
      const begin = i * bytes;
      // 2⁻³² of a word lies in [0, 1): a probability of 1 flips all, one of 0 none.
      if (words[i] * 2 ** -32 < probability)
        mirror(images.data, flipped.data, begin, height, width, channels);
      else copy(flipped.data, images.data.subarray(begin, begin + bytes), begin);
    }
    return flipped;
  };
}

function mirror(
  from: TypedArray,
  to: TypedArray,
  begin: number,
  height: number,
  width: number,
  channels: number,
): void {
  const [pixels, values] = [from as Float64Array, to as Float64Array];
  for (let y = 0; y < height; y++) {
    const row = begin + y * width * channels;
    for (let x = 0; x < width; x++) {
      const source = row + (width - 1 - x) * channels;
      const target = row + x * channels;
      for (let c = 0; c < channels; c++) values[target + c] = pixels[source + c];
    }
  }
}

/** A number from 0 to `count` − 1 of 32 random bits; the bias is below count·2⁻³². */
function below(word: number, count: number): number {
  return Math.floor(word * 2 ** -32 * count);
}

// Both arrays are of one dtype; the union of classes has no common `set`.
function copy(into: TypedArray, values: TypedArray, offset: number): void {
  (into as Float64Array).set(values as Float64Array, offset);
}
