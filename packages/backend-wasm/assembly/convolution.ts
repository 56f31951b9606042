import { locate } from './positions';
import { ACCUMULATE, tile4, tile8 } from './tile';

/** Bytes of a panel of the kernel that pass at a time: they stay in a first-level cache, beside rows of x. */
const PANEL_BYTES: i32 = 24576;
/** Bytes of the panels that pass over four positions before the next four: they stay in a second-level cache. */
const GROUP_BYTES: i32 = 98304;

/**
 * Images into frames with zeros around; or, with `crop`, the middle of frames into images.
 *
 * args: source, target; rows, line (bytes of a row) of an image, frameRows, frameLine, top, left (bytes), crop, lines
 * (of all images of the target), perPart. A part: so many lines.
 */
export function frameImages(args: usize, begin: i32, end: i32): void {
  const source = <usize>load<u32>(args);
  const target = <usize>load<u32>(args, 4);
  const rows = load<i32>(args, 8);
  const line = <usize>load<u32>(args, 12);
  const frameRows = load<i32>(args, 16);
  const frameLine = <usize>load<u32>(args, 20);
  const top = load<i32>(args, 24);
  const left = <usize>load<u32>(args, 28);
  const crop = load<i32>(args, 32);
  const perPart = load<i32>(args, 40);
  const last = min(end * perPart, load<i32>(args, 36));
  for (let at = begin * perPart; at < last; at++) {
    if (crop) {
      const image = at / rows;
      const from = source + <usize>(image * frameRows + at - image * rows + top) * frameLine + left;
      memory.copy(target + <usize>at * line, from, line);
    } else {
      const image = at / frameRows;
      const row = at - image * frameRows - top;
      const to = target + <usize>at * frameLine;
      if (row < 0 || row >= rows) {
        memory.fill(to, 0, frameLine);
      } else {
        memory.fill(to, 0, left);
        memory.copy(to + left, source + <usize>(image * rows + row) * line, line);
        memory.fill(to + left + line, 0, frameLine - left - line);
      }
    }
  }
}

/**
 * y = x ∗ kernel, plus bias, relu on request. Each position of y is a row of a product whose other operand is the kernel
 * as [height · width · channels, outputs], in panels; the row is the window of x, read where it lies: runs of adjoining
 * elements, one for each row of the window (for each of its pixels, where the width is dilated). x has its border.
 *
 * args: x, panels, bias (0: none), y, table (a word for each position of the parts); positions, outHeight, outWidth,
 * imageStride, rowStride, columnStride: bytes of x from image to image, and from a position to the ones below, beside,
 * outer, inner, length, innerSkip, outerSkip: the window, as `tile8` walks over it,
 * outputs, flags, perPart. A part: so many positions (a multiple of 4), all outputs.
 */
export function convolve(args: usize, begin: i32, end: i32): void {
  const panels = <usize>load<u32>(args, 4);
  const bias = <usize>load<u32>(args, 8);
  const y = <usize>load<u32>(args, 12);
  const positions = load<i32>(args, 20);
  const outer = load<i32>(args, 44);
  const inner = load<i32>(args, 48);
  const length = load<i32>(args, 52);
  const innerSkip = <usize>load<u32>(args, 56);
  const outerSkip = <usize>load<u32>(args, 60);
  const outputs = load<i32>(args, 64);
  const flags = load<i32>(args, 68);
  const perPart = load<i32>(args, 72);
  const run = inner * length;
  const panelBytes = (<usize>(outer * run)) << 5;
  const outerStride = <usize>inner * ((<usize>length << 2) + innerSkip) + outerSkip;
  const outRow = <usize>outputs << 2;
  const atOnce = max(1, min(outer, PANEL_BYTES / max(1, run << 5)));
  for (let part = begin; part < end; part++) {
    const first = part * perPart;
    const last = min(first + perPart, positions);
    const table = <usize>load<u32>(args, 16) + (<usize>first << 2);
    locate(
      table,
      first,
      last - first,
      <usize>load<u32>(args),
      load<i32>(args, 24),
      load<i32>(args, 28),
      <usize>load<u32>(args, 32),
      <usize>load<u32>(args, 36),
      <usize>load<u32>(args, 40),
    );
    // Rows of the window that fit the first cache, panels that fit the second; all positions of the part for them.
    for (let o = 0; o < outer; o += atOnce) {
      const outers = min(atOnce, outer - o);
      const done = o + outers == outer;
      const mode = (o > 0 ? ACCUMULATE : 0) | (done ? flags : 0);
      const shift = <usize>o * outerStride;
      const group = max(1, GROUP_BYTES / max(1, (outers * run) << 5)) << 3;
      for (let start = 0; start < outputs; start += group) {
        const stop = min(start + group, outputs);
        let at = table;
        for (let position = first; position < last; position += 4) {
          const p0 = <usize>load<u32>(at) + shift;
          const p1 = <usize>load<u32>(at, 4) + shift;
          const p2 = <usize>load<u32>(at, 8) + shift;
          const p3 = <usize>load<u32>(at, 12) + shift;
          const missing = position + 4 - last;
          let b = panels + <usize>(start >> 3) * panelBytes + ((<usize>(o * run)) << 5);
          let c0 = y + <usize>position * outRow + (<usize>start << 2);
          for (let output = start; output < stop; output += 8) {
            const c1 = c0 + (missing > 2 ? 0 : outRow);
            const c2 = c1 + (missing > 1 ? 0 : outRow);
            const c3 = c2 + (missing > 0 ? 0 : outRow);
            const width = min(8, outputs - output);
            const panelBias = bias && done ? bias + (<usize>output << 2) : 0;
            if (width > 4) tile8(p0, p1, p2, p3, 4, outers, inner, length, innerSkip, outerSkip, b, 32, c0, c1, c2, c3, width, mode, panelBias);
            else tile4(p0, p1, p2, p3, 4, outers, inner, length, innerSkip, outerSkip, b, 32, c0, c1, c2, c3, width, mode, panelBias);
            b += panelBytes;
            c0 += 32;
          }
          at += 16;
        }
      }
    }
  }
}
