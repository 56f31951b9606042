import { packColumns, packRows } from './panel';
import { ACCUMULATE, tile4, tile8, tileRow } from './tile';

/** Steps of k done before the next panel: 8 columns × 256 × 4 bytes are a quarter of a first-level cache of 32 kB. */
const INNER_BLOCK: i32 = 256;
/** Up to this length k isn't cut. */
const INNER_MOST: i32 = 384;

/**
 * Copies the columns of matrices into panels of eight, [k][8] each, so that the product reads them one after another.
 * Lanes beyond the last column hold anything; they reach no result.
 *
 * args: source, panels; inner, columns, first (panel), count (of panels a matrix), rowStride (bytes from k to k + 1),
 * columnStride (bytes from column to column), offset (bytes, of the source), matrixBytes, panelBytes (from one to the
 * next among the panels), panelsPerPart, axes, and for each axis its length and stride in bytes.
 * A part: up to `panelsPerPart` panels of one matrix.
 */
export function packPanels(args: usize, begin: i32, end: i32): void {
  const source = <usize>load<u32>(args) + <usize>load<u32>(args, 32);
  const target = <usize>load<u32>(args, 4);
  const inner = load<i32>(args, 8);
  const columns = load<i32>(args, 12);
  const first = load<i32>(args, 16);
  const count = load<i32>(args, 20);
  const rowStride = <usize>load<u32>(args, 24);
  const columnStride = <usize>load<u32>(args, 28);
  const matrixBytes = <usize>load<u32>(args, 36);
  const panelBytes = <usize>load<u32>(args, 40);
  const perPart = load<i32>(args, 44);
  const axes = load<i32>(args, 48);
  const groups = (count + perPart - 1) / perPart;
  for (let part = begin; part < end; part++) {
    const matrix = part / groups;
    const start = (part - matrix * groups) * perPart;
    const stop = min(start + perPart, count);
    let from = source;
    let rest = matrix;
    for (let axis = axes - 1; axis >= 0; axis--) {
      const length = load<i32>(args + 52 + (axis << 3));
      const next = rest / length;
      from += <usize>(rest - next * length) * <usize>load<u32>(args + 56 + (axis << 3));
      rest = next;
    }
    for (let panel = start; panel < stop; panel++) {
      const column = (first + panel) << 3;
      const to = target + <usize>matrix * matrixBytes + <usize>panel * panelBytes;
      const at = from + <usize>column * columnStride;
      const width = min(8, columns - column);
      if (columnStride == 4) packRows(at, to, inner, rowStride, width);
      else packColumns(at, to, inner, rowStride, columnStride, width);
    }
  }
}

/**
 * out(i, j) = Σ_k a(i, k) · b(k, j), plus bias(j), relu on request, for every matrix of a batch.
 *
 * args: a, b, tail, bias (0: none), out; rows, inner, columns,
 * aRow, aPanel, aStep: element (i, k) of a is at (i >> 3)·aPanel + (i & 7)·aRow + k·aStep bytes (a plain matrix has
 *   aPanel = 8·aRow),
 * bPanel, bStep: element (k, j) of b at (j >> 3)·bPanel + (j & 7)·4 + k·bStep,
 * outRow, aOffset, bOffset, outOffset (bytes),
 * whole: how many panels are read from b; the last one, if it isn't full and b isn't packed, is read from `tail`, a
 *   packed panel, which has lanes to be read beyond the last column,
 * flags, rowsPerPart (a multiple of 4), panelsPerPart, axes, and for each axis of the batch its length
 *   and the strides of a, b, tail and out in bytes.
 * A part: `rowsPerPart` rows by `panelsPerPart` panels of one matrix.
 */
export function gemm(args: usize, begin: i32, end: i32): void {
  const rows = load<i32>(args, 20);
  const inner = load<i32>(args, 24);
  const columns = load<i32>(args, 28);
  const aRow = <usize>load<u32>(args, 32);
  const aPanel = <usize>load<u32>(args, 36);
  const aStep = <usize>load<u32>(args, 40);
  const bPanel = <usize>load<u32>(args, 44);
  const bStep = <usize>load<u32>(args, 48);
  const outRow = <usize>load<u32>(args, 52);
  const whole = load<i32>(args, 68);
  const flags = load<i32>(args, 72);
  const rowsPerPart = load<i32>(args, 76);
  const panelsPerPart = load<i32>(args, 80);
  const axes = load<i32>(args, 84);
  const panels = (columns + 7) >> 3;
  const rowParts = (rows + rowsPerPart - 1) / rowsPerPart;
  const columnParts = (panels + panelsPerPart - 1) / panelsPerPart;
  const bias = <usize>load<u32>(args, 12);
  for (let part = begin; part < end; part++) {
    let rest = part / columnParts;
    const firstPanel = (part - rest * columnParts) * panelsPerPart;
    const lastPanel = min(firstPanel + panelsPerPart, panels);
    const matrix = rest / rowParts;
    const firstRow = (rest - matrix * rowParts) * rowsPerPart;
    const lastRow = min(firstRow + rowsPerPart, rows);
    let a = <usize>load<u32>(args) + <usize>load<u32>(args, 56);
    let b = <usize>load<u32>(args, 4) + <usize>load<u32>(args, 60);
    let tail = <usize>load<u32>(args, 8);
    let out = <usize>load<u32>(args, 16) + <usize>load<u32>(args, 64);
    rest = matrix;
    for (let axis = axes - 1; axis >= 0; axis--) {
      const words = args + 88 + <usize>axis * 20;
      const length = load<i32>(words);
      const next = rest / length;
      const index = <usize>(rest - next * length);
      a += index * <usize>load<u32>(words, 4);
      b += index * <usize>load<u32>(words, 8);
      tail += index * <usize>load<u32>(words, 12);
      out += index * <usize>load<u32>(words, 16);
      rest = next;
    }
    // A panel of b stays in the first-level cache while the rows of this part pass; blocks of k keep it that small.
    const block = inner <= INNER_MOST ? inner : INNER_BLOCK;
    let k = 0;
    do {
      const length = inner - k <= INNER_MOST ? inner - k : block;
      const done = k + length == inner;
      const mode = (k > 0 ? ACCUMULATE : 0) | (done ? flags : 0);
      let panel = firstPanel;
      if (lastRow - firstRow == 1) {
        const p = a + <usize>(firstRow >> 3) * aPanel + <usize>(firstRow & 7) * aRow + <usize>k * aStep;
        const c = out + <usize>firstRow * outRow;
        // Only panels of eight columns: the last one, if it has fewer, is left to the loop below.
        for (; panel + 4 <= min(lastPanel, min(whole, columns >> 3)); panel += 4) {
          const at = <usize>panel << 5;
          const from = b + <usize>panel * bPanel + <usize>k * bStep;
          tileRow(p, aStep, length, from, bStep, bPanel, c + at, mode, bias && done ? bias + at : 0);
        }
      }
      for (; panel < lastPanel; panel++) {
        const inB = panel < whole;
        const panelStep = inB ? bStep : 32;
        const from = (inB ? b + <usize>panel * bPanel : tail) + <usize>k * panelStep;
        const width = min(8, columns - (panel << 3));
        const c = out + (<usize>panel << 5);
        const panelBias = bias && done ? bias + (<usize>panel << 5) : 0;
        for (let row = firstRow; row < lastRow; row += 4) {
          const p0 = a + <usize>(row >> 3) * aPanel + <usize>(row & 7) * aRow + <usize>k * aStep;
          const c0 = c + <usize>row * outRow;
          const missing = row + 4 - lastRow;
          const p1 = p0 + (missing > 2 ? 0 : aRow);
          const p2 = p1 + (missing > 1 ? 0 : aRow);
          const p3 = p2 + (missing > 0 ? 0 : aRow);
          const c1 = c0 + (missing > 2 ? 0 : outRow);
          const c2 = c1 + (missing > 1 ? 0 : outRow);
          const c3 = c2 + (missing > 0 ? 0 : outRow);
          if (width > 4) {
            tile8(p0, p1, p2, p3, aStep, 1, 1, length, 0, 0, from, panelStep, c0, c1, c2, c3, width, mode, panelBias);
          } else {
            tile4(p0, p1, p2, p3, aStep, 1, 1, length, 0, 0, from, panelStep, c0, c1, c2, c3, width, mode, panelBias);
          }
        }
      }
      k += length;
    } while (k < inner);
  }
}
