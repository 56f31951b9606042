import { checkFloat32, type InputLike, shapeError } from './inputs.js';
import type { Pair } from './options.js';

/** 'valid': only windows that lie in the input. 'same': padded so that stride 1 keeps the size (as TensorFlow's). */
export type Padding = 'valid' | 'same';

/** The windows that a convolution or a pooling layer slides over height and width. */
export interface Windows {
  readonly size: Pair;
  readonly strides: Pair;
  readonly padding: Padding;
  readonly dilation: Pair;
}

/** Padding before and after, along height and width. */
export type Pads = readonly [top: number, bottom: number, left: number, right: number];

/** The length that a window of `size` taps covers: (size − 1) · dilation + 1. */
export function extentOf(size: number, dilation: number): number {
  return (size - 1) * dilation + 1;
}

/**
 * How many windows lie along an axis: ⌈(length − extent + 1) / stride⌉ for 'valid' (0 or less: none), ⌈length / stride⌉
 * for 'same'. null (free) where the length is.
 */
export function windowCount(length: number | null, windows: Windows, axis: 0 | 1): number | null {
  if (length === null) return null;
  const stride = windows.strides[axis];
  if (windows.padding === 'same') return Math.ceil(length / stride);
  return Math.ceil((length - extentOf(windows.size[axis], windows.dilation[axis]) + 1) / stride);
}

/** How 'same' pads an image: what the windows lack, half of it before, and the odd one after. 'valid' pads nothing. */
export function padsOf(height: number, width: number, windows: Windows): Pads {
  if (windows.padding === 'valid') return [0, 0, 0, 0];
  const along = (length: number, axis: 0 | 1): [number, number] => {
    const count = Math.ceil(length / windows.strides[axis]);
    const covered =
      (count - 1) * windows.strides[axis] + extentOf(windows.size[axis], windows.dilation[axis]);
    const total = Math.max(0, covered - length);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  };
  return [...along(height, 0), ...along(width, 1)];
}

/**
 * Checks that the input is float32 [batch, height, width, channels] and has room for a window, and returns the height
 * and width of the output. `sizeName` is the option that errors blame.
 */
export function slideOver(
  input: InputLike,
  windows: Windows,
  where: string,
  sizeName: 'kernelSize' | 'poolSize',
): readonly [height: number | null, width: number | null] {
  const { shape } = input;
  if (shape.length !== 4) {
    const hint =
      shape.length === 3
        ? 'Add the channel axis: grey images are [batch, height, width, 1].'
        : shape.length === 2
          ? 'It works on images; after flatten() there are none.'
          : undefined;
    throw shapeError(where, '[batch, height, width, channels]', input, hint);
  }
  checkFloat32(input, where);
  const height = windowCount(shape[1], windows, 0);
  const width = windowCount(shape[2], windows, 1);
  if ((height !== null && height <= 0) || (width !== null && width <= 0)) {
    const least = [0, 1].map((axis) => extentOf(windows.size[axis], windows.dilation[axis]));
    const hint = `Use padding: 'same', a smaller ${sizeName}, or fewer strides before it.`;
    throw shapeError(where, `height and width of at least ${least.join(' and ')}`, input, hint);
  }
  return [height, width];
}
