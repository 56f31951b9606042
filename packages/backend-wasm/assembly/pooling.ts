import { loadPart, storePart } from './tile';

/*
 * Pooling, NHWC: four channels in a vector; of the last ones, as many as there are.
 *
 * The words from `geometry` on are the same for all: inHeight, inWidth, channels, outHeight, outWidth, height and width
 * of the window, its strides, and the padding above and at the left.
 */

// @ts-ignore: decorator
@inline
function word(geometry: usize, index: i32): i32 {
  return load<i32>(geometry + (<usize>index << 2));
}

/**
 * The largest element under each window; NaN is passed over (pmax(m, x) is x where m < x, and m otherwise).
 *
 * args: x, out, geometry…, lines (of all images of out), perPart. A part: so many lines.
 */
export function maxPool(args: usize, begin: i32, end: i32): void {
  pool(args, begin, end, true);
}

/** The mean of the elements under each window that lie inside of the image; args and parts as for `maxPool`. */
export function averagePool(args: usize, begin: i32, end: i32): void {
  pool(args, begin, end, false);
}

// @ts-ignore: decorator
@inline
function pool(args: usize, begin: i32, end: i32, largest: bool): void {
  const x = <usize>load<u32>(args);
  const geometry = args + 8;
  const inHeight = word(geometry, 0);
  const inWidth = word(geometry, 1);
  const channels = word(geometry, 2);
  const outHeight = word(geometry, 3);
  const outWidth = word(geometry, 4);
  const pixel = <usize>channels << 2;
  const line = <usize>inWidth * pixel;
  const perPart = word(geometry, 12);
  const last = min(end * perPart, word(geometry, 11));
  let to = <usize>load<u32>(args, 4) + <usize>(begin * perPart * outWidth) * pixel;
  for (let at = begin * perPart; at < last; at++) {
    const image = at / outHeight;
    const row = (at - image * outHeight) * word(geometry, 7) - word(geometry, 9);
    const top = max(0, row);
    const height = min(inHeight, row + word(geometry, 5)) - top;
    const start = x + <usize>(image * inHeight + top) * line;
    let column = -word(geometry, 10);
    for (let i = 0; i < outWidth; i++) {
      const left = max(0, column);
      const width = min(inWidth, column + word(geometry, 6)) - left;
      let from = start + <usize>left * pixel;
      let channel = 0;
      if (largest && height == 2 && width == 2) {
        const right = from + pixel;
        const below = from + line;
        const both = below + pixel;
        let offset: usize = 0;
        for (; channel + 4 <= channels; channel += 4) {
          let m = f32x4.pmax(f32x4.splat(-Infinity), v128.load(from + offset));
          m = f32x4.pmax(m, v128.load(right + offset));
          m = f32x4.pmax(m, v128.load(below + offset));
          m = f32x4.pmax(m, v128.load(both + offset));
          v128.store(to + offset, m);
          offset += 16;
        }
        from += offset;
        to += offset;
      }
      for (; channel < channels; channel += 4) {
        const count = min(4, channels - channel);
        let result = f32x4.splat(largest ? -Infinity : 0);
        let p = from;
        for (let y = 0; y < height; y++) {
          let q = p;
          for (let z = 0; z < width; z++) {
            const value = count == 4 ? v128.load(q) : loadPart(q, count);
            result = largest ? f32x4.pmax(result, value) : f32x4.add(result, value);
            q += pixel;
          }
          p += line;
        }
        // A window that lies on padding alone has the mean 0 / 0.
        if (!largest) result = f32x4.div(result, f32x4.splat(<f32>(max(0, height) * max(0, width))));
        storePart(to, result, count);
        from += 16;
        to += <usize>count << 2;
      }
      column += word(geometry, 8);
    }
  }
}

/**
 * The gradient of `maxPool`: each ∂y goes to the largest element of its window, the first of them in row-major order
 * where several are equal, and nowhere where none is larger than −Inf.
 *
 * args: dy, x, dx, geometry…, batch, perPart. A part: so many images.
 */
export function maxPoolGrad(args: usize, begin: i32, end: i32): void {
  const geometry = args + 12;
  const inHeight = word(geometry, 0);
  const inWidth = word(geometry, 1);
  const channels = word(geometry, 2);
  const outHeight = word(geometry, 3);
  const outWidth = word(geometry, 4);
  const pixel = <usize>channels << 2;
  const line = <usize>inWidth * pixel;
  const imageBytes = <usize>inHeight * line;
  const halves =
    word(geometry, 5) == 2 &&
    word(geometry, 6) == 2 &&
    word(geometry, 7) == 2 &&
    word(geometry, 8) == 2 &&
    (word(geometry, 9) | word(geometry, 10)) == 0 &&
    (outHeight << 1) <= inHeight &&
    (outWidth << 1) <= inWidth &&
    (channels & 3) == 0;
  const perPart = word(geometry, 12);
  const last = min(end * perPart, word(geometry, 11));
  for (let image = begin * perPart; image < last; image++) {
    let dy = <usize>load<u32>(args) + <usize>(image * outHeight * outWidth) * pixel;
    const x = <usize>load<u32>(args, 4) + <usize>image * imageBytes;
    const dx = <usize>load<u32>(args, 8) + <usize>image * imageBytes;
    if (halves) {
      halvesGrad(dy, x, dx, inHeight, line, outHeight, outWidth, pixel);
      continue;
    }
    memory.fill(dx, 0, imageBytes);
    for (let i = 0; i < outHeight; i++) {
      const row = i * word(geometry, 7) - word(geometry, 9);
      const top = max(0, row);
      const bottom = min(inHeight, row + word(geometry, 5));
      for (let j = 0; j < outWidth; j++) {
        const column = j * word(geometry, 8) - word(geometry, 10);
        const left = max(0, column);
        const right = min(inWidth, column + word(geometry, 6));
        const start = <usize>top * line + <usize>left * pixel;
        for (let channel = 0; channel < channels; channel += 4) {
          const count = min(4, channels - channel);
          const offset = start + (<usize>channel << 2);
          let m = f32x4.splat(-Infinity);
          let p = offset;
          for (let y = top; y < bottom; y++) {
            let q = p;
            for (let z = left; z < right; z++) {
              m = f32x4.pmax(m, loadPart(x + q, count));
              q += pixel;
            }
            p += line;
          }
          let open = f32x4.gt(m, f32x4.splat(-Infinity));
          const gradient = loadPart(dy, count);
          p = offset;
          for (let y = top; y < bottom; y++) {
            let q = p;
            for (let z = left; z < right; z++) {
              const here = v128.and(open, f32x4.eq(loadPart(x + q, count), m));
              open = v128.andnot(open, here);
              storePart(dx + q, f32x4.add(loadPart(dx + q, count), v128.and(here, gradient)), count);
              q += pixel;
            }
            p += line;
          }
          dy += <usize>count << 2;
        }
      }
    }
  }
}

/** `maxPoolGrad` for windows of 2 × 2 side by side: each element of dx is written once. */
function halvesGrad(
  dy: usize,
  x: usize,
  dx: usize,
  inHeight: i32,
  line: usize,
  outHeight: i32,
  outWidth: i32,
  pixel: usize,
): void {
  const lowest = f32x4.splat(-Infinity);
  const zero = f32x4.splat(0);
  const covered = <usize>(outWidth << 1) * pixel;
  for (let i = 0; i < outHeight; i++) {
    let from = x;
    let to = dx;
    for (let j = 0; j < outWidth; j++) {
      const stop = from + pixel;
      while (from != stop) {
        const x0 = v128.load(from);
        const x1 = v128.load(from + pixel);
        const x2 = v128.load(from + line);
        const x3 = v128.load(from + line + pixel);
        const m = f32x4.pmax(f32x4.pmax(f32x4.pmax(f32x4.pmax(lowest, x0), x1), x2), x3);
        const gradient = v128.load(dy);
        let open = f32x4.gt(m, lowest);
        let here = v128.and(open, f32x4.eq(x0, m));
        // 0 + g: as every sum, it begins at 0, not at −0.
        v128.store(to, f32x4.add(zero, v128.and(here, gradient)));
        open = v128.andnot(open, here);
        here = v128.and(open, f32x4.eq(x1, m));
        v128.store(to + pixel, f32x4.add(zero, v128.and(here, gradient)));
        open = v128.andnot(open, here);
        here = v128.and(open, f32x4.eq(x2, m));
        v128.store(to + line, f32x4.add(zero, v128.and(here, gradient)));
        open = v128.andnot(open, here);
        here = v128.and(open, f32x4.eq(x3, m));
        v128.store(to + line + pixel, f32x4.add(zero, v128.and(here, gradient)));
        from += 16;
        to += 16;
        dy += 16;
      }
      from += pixel;
      to += pixel;
    }
    memory.fill(dx + covered, 0, line - covered);
    memory.fill(dx + line + covered, 0, line - covered);
    x += line << 1;
    dx += line << 1;
  }
  memory.fill(dx, 0, <usize>(inHeight - (outHeight << 1)) * line);
}

/**
 * The gradient of `averagePool` as tfjs has it: each ∂y, divided by the size of the window (padding included), goes to
 * every element of its window.
 *
 * args: dy, dx, geometry…, batch, perPart. A part: so many images.
 */
export function averagePoolGrad(args: usize, begin: i32, end: i32): void {
  const geometry = args + 8;
  const inHeight = word(geometry, 0);
  const inWidth = word(geometry, 1);
  const channels = word(geometry, 2);
  const outHeight = word(geometry, 3);
  const outWidth = word(geometry, 4);
  const pixel = <usize>channels << 2;
  const line = <usize>inWidth * pixel;
  const imageBytes = <usize>inHeight * line;
  const factor = f32x4.splat(1 / <f32>(word(geometry, 5) * word(geometry, 6)));
  const perPart = word(geometry, 12);
  const last = min(end * perPart, word(geometry, 11));
  for (let image = begin * perPart; image < last; image++) {
    let dy = <usize>load<u32>(args) + <usize>(image * outHeight * outWidth) * pixel;
    const dx = <usize>load<u32>(args, 4) + <usize>image * imageBytes;
    memory.fill(dx, 0, imageBytes);
    for (let i = 0; i < outHeight; i++) {
      const row = i * word(geometry, 7) - word(geometry, 9);
      const top = max(0, row);
      const bottom = min(inHeight, row + word(geometry, 5));
      for (let j = 0; j < outWidth; j++) {
        const column = j * word(geometry, 8) - word(geometry, 10);
        const left = max(0, column);
        const right = min(inWidth, column + word(geometry, 6));
        let p = dx + <usize>top * line + <usize>left * pixel;
        for (let channel = 0; channel < channels; channel += 4) {
          const count = min(4, channels - channel);
          const share = f32x4.mul(loadPart(dy, count), factor);
          let q = p;
          for (let y = top; y < bottom; y++) {
            let to = q;
            for (let z = left; z < right; z++) {
              storePart(to, f32x4.add(loadPart(to, count), share), count);
              to += pixel;
            }
            q += line;
          }
          dy += <usize>count << 2;
          p += 16;
        }
      }
    }
  }
}
