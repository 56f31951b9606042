import { packRows } from './panel';
import { locate } from './positions';
import { ACCUMULATE, tile4, tile8 } from './tile';

/**
 * ∂kernel(i, o) = Σ_positions x(position, i) · ∂y(position, o), i over height · width · channels: a product whose k are
 * the positions. x (with its border) is read where it lies; of ∂y, a block of positions at a time is packed into panels,
 * over which all i pass. A block is some lines of one image, or some whole images.
 *
 * The positions are cut into chunks, by shapes alone, each of which gives a partial sum in `target`.
 *
 * args: x, dy, target, panels (scratch for each part); batch, outHeight, outWidth,
 * imageStride, rowStride, columnStride: bytes of x from image to image, and from a position to the ones below, beside,
 * rows (all i), run (i in a row of the window), windowStride (bytes of x between rows of the window), outputs,
 * images, lines: of a block, blocksPerChunk, chunkBytes (of `target`), rowsPerPart.
 * A part: rowsPerPart of the i, of one chunk.
 */
export function filterGradient(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const dy = <usize>load<u32>(args, 4);
  const batch = load<i32>(args, 16);
  const outHeight = load<i32>(args, 20);
  const outWidth = load<i32>(args, 24);
  const imageStride = <usize>load<u32>(args, 28);
  const rowStride = <usize>load<u32>(args, 32);
  const columnStride = <usize>load<u32>(args, 36);
  const rows = load<i32>(args, 40);
  const run = load<i32>(args, 44);
  const windowSkip = <usize>load<u32>(args, 48) - (<usize>run << 2);
  const outputs = load<i32>(args, 52);
  const imagesAtOnce = load<i32>(args, 56);
  const linesAtOnce = load<i32>(args, 60);
  const blocksPerChunk = load<i32>(args, 64);
  const rowsPerPart = load<i32>(args, 72);
  const outRow = <usize>outputs << 2;
  const panels = (outputs + 7) >> 3;
  const rowParts = (rows + rowsPerPart - 1) / rowsPerPart;
  const groups = (outHeight + linesAtOnce - 1) / linesAtOnce;
  const blocks = groups * ((batch + imagesAtOnce - 1) / imagesAtOnce);
  const innerSkip = rowStride - <usize>outWidth * columnStride;
  for (let part = begin; part < end; part++) {
    const chunk = part / rowParts;
    const firstRow = (part - chunk * rowParts) * rowsPerPart;
    const lastRow = min(firstRow + rowsPerPart, rows);
    const target = <usize>load<u32>(args, 8) + <usize>chunk * <usize>load<u32>(args, 68);
    const scratch =
      <usize>load<u32>(args, 12) + (<usize>(part * imagesAtOnce * linesAtOnce * outWidth * panels) << 5);
    const lastBlock = min((chunk + 1) * blocksPerChunk, blocks);
    for (let block = chunk * blocksPerChunk; block < lastBlock; block++) {
      const group = block / groups;
      const image = group * imagesAtOnce;
      const line = (block - group * groups) * linesAtOnce;
      const images = min(imagesAtOnce, batch - image);
      const lines = min(linesAtOnce, outHeight - line);
      const positions = images * lines * outWidth;
      const panelBytes = <usize>positions << 5;
      let from = dy + <usize>((image * outHeight + line) * outWidth) * outRow;
      for (let panel = 0; panel < panels; panel++) {
        const width = min(8, outputs - (panel << 3));
        packRows(from, scratch + <usize>panel * panelBytes, positions, outRow, width);
        from += 32;
      }
      const mode = block > chunk * blocksPerChunk ? ACCUMULATE : 0;
      const outerSkip = imageStride - <usize>lines * rowStride;
      const firstWindow = firstRow / run;
      let inWindow = firstRow - firstWindow * run;
      let p =
        x +
        <usize>image * imageStride +
        <usize>line * rowStride +
        <usize>firstWindow * (windowSkip + (<usize>run << 2)) +
        (<usize>inWindow << 2);
      for (let row = firstRow; row < lastRow; row += 4) {
        const p0 = p;
        let p1 = p;
        let p2 = p;
        let p3 = p;
        // To the next i: beside, or at the start of the next row of the window.
        for (let i = 1; i <= 4; i++) {
          p += 4;
          if (++inWindow == run) {
            inWindow = 0;
            p += windowSkip;
          }
          if (row + i >= lastRow) continue;
          if (i == 1) p1 = p;
          if (i <= 2) p2 = p;
          if (i <= 3) p3 = p;
        }
        const missing = row + 4 - lastRow;
        let b = scratch;
        let c0 = target + <usize>row * outRow;
        for (let output = 0; output < outputs; output += 8) {
          const c1 = c0 + (missing > 2 ? 0 : outRow);
          const c2 = c1 + (missing > 1 ? 0 : outRow);
          const c3 = c2 + (missing > 0 ? 0 : outRow);
          const width = min(8, outputs - output);
          if (width > 4) tile8(p0, p1, p2, p3, columnStride, images, lines, outWidth, innerSkip, outerSkip, b, 32, c0, c1, c2, c3, width, mode, 0);
          else tile4(p0, p1, p2, p3, columnStride, images, lines, outWidth, innerSkip, outerSkip, b, 32, c0, c1, c2, c3, width, mode, 0);
          b += panelBytes;
          c0 += 32;
        }
      }
    }
  }
}

/**
 * The sum of partial sums, in the order of chunks.
 *
 * args: partials, target; vectors (of four, in all), count, chunkBytes, perPart. A part: so many vectors.
 */
export function sumChunks(args: usize, begin: i32, end: i32): void {
  const partials = <usize>load<u32>(args);
  const target = <usize>load<u32>(args, 4);
  const count = load<i32>(args, 12);
  const chunkBytes = <usize>load<u32>(args, 16);
  const perPart = load<i32>(args, 20);
  const last = min(end * perPart, load<i32>(args, 8));
  for (let vector = begin * perPart; vector < last; vector++) {
    const at = <usize>vector << 4;
    let sum = f32x4.splat(0);
    let from = partials + at;
    for (let chunk = 0; chunk < count; chunk++) {
      sum = f32x4.add(sum, v128.load(from));
      from += chunkBytes;
    }
    v128.store(target + at, sum);
  }
}

/**
 * ∂x: for each tap of the kernel, the product of ∂y and the tap's [outputs, channels] (in panels), added to ∂x where the
 * tap looks at it. Nothing is computed for pixels that no window covers, as a convolution of a widened ∂y would.
 *
 * The taps follow one another over the whole image, so that an element's order of additions depends on no tile. ∂x has
 * its border.
 *
 * args: dy, panels, dx, table (a word for each position of an image, for each part, in fours); outHeight, outWidth,
 * imageStride, rowStride, columnStride: bytes of dx from image to image, and from a position to the ones below, beside,
 * tapRows, tapColumns, tapStride (bytes of dx from tap row to tap row), channels, outputs.
 * A part: an image.
 */
export function inputGradient(args: usize, begin: i32, end: i32): void {
  const panels = <usize>load<u32>(args, 4);
  const outHeight = load<i32>(args, 16);
  const outWidth = load<i32>(args, 20);
  const imageStride = <usize>load<u32>(args, 24);
  const rowStride = <usize>load<u32>(args, 28);
  const columnStride = <usize>load<u32>(args, 32);
  const tapRows = load<i32>(args, 36);
  const tapColumns = load<i32>(args, 40);
  const tapStride = <usize>load<u32>(args, 44);
  const channels = load<i32>(args, 48);
  const outputs = load<i32>(args, 52);
  const positions = outHeight * outWidth;
  const dyRow = <usize>outputs << 2;
  const channelPanels = (channels + 7) >> 3;
  const panelBytes = <usize>outputs << 5;
  const tapBytes = <usize>channelPanels * panelBytes;
  for (let image = begin; image < end; image++) {
    const table = <usize>load<u32>(args, 12) + (<usize>(image * ((positions + 3) & ~3)) << 2);
    const dx = <usize>load<u32>(args, 8) + <usize>image * imageStride;
    const dy = <usize>load<u32>(args) + <usize>(image * positions) * dyRow;
    memory.fill(dx, 0, imageStride);
    locate(table, 0, positions, dx, outHeight, outWidth, imageStride, rowStride, columnStride);
    for (let channel = 0; channel < channels; channel += 8) {
      const width = min(8, channels - channel);
      let b = panels + <usize>(channel >> 3) * panelBytes;
      for (let tapRow = 0; tapRow < tapRows; tapRow++) {
        for (let tapColumn = 0; tapColumn < tapColumns; tapColumn++) {
          const shift =
            <usize>tapRow * tapStride + (<usize>(tapColumn * channels + channel) << 2);
          let p0 = dy;
          let at = table;
          for (let position = 0; position < positions; position += 4) {
            const missing = position + 4 - positions;
            const p1 = p0 + (missing > 2 ? 0 : dyRow);
            const p2 = p1 + (missing > 1 ? 0 : dyRow);
            const p3 = p2 + (missing > 0 ? 0 : dyRow);
            const c0 = <usize>load<u32>(at) + shift;
            const c1 = <usize>load<u32>(at, 4) + shift;
            const c2 = <usize>load<u32>(at, 8) + shift;
            const c3 = <usize>load<u32>(at, 12) + shift;
            if (width > 4) tile8(p0, p1, p2, p3, 4, 1, 1, outputs, 0, 0, b, 32, c0, c1, c2, c3, width, ACCUMULATE, 0);
            else tile4(p0, p1, p2, p3, 4, 1, 1, outputs, 0, 0, b, 32, c0, c1, c2, c3, width, ACCUMULATE, 0);
            p0 += dyRow << 2;
            at += 16;
          }
          b += tapBytes;
        }
      }
    }
  }
}
