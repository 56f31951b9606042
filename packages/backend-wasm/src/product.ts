/** A matrix inside an array: element (i, j) is `data[offset + i·rowStride + j·columnStride]`. */
export interface Matrix {
  readonly data: Float32Array;
  readonly offset: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** Rows and columns of the tile of the product that is held in registers. */
const TILE = 4;

/**
 * The matrix product: out(i, j) = Σ_k a(i, k) · b(k, j) for i < rows, j < columns, k < inner, row-major from
 * `outOffset` on; with `accumulate` it is added to what is there.
 *
 * Sums run in float64 from k = 0 upwards, and are rounded to float32 once. (A plain product of three loops takes two
 * to four times as long; what helps is to hold 4×4 sums in registers, and operands that lie in the order of use.)
 */
export function multiply(
  a: Matrix,
  b: Matrix,
  rows: number,
  inner: number,
  columns: number,
  out: Float32Array,
  outOffset: number,
  accumulate = false,
): void {
  // Operands as panels of four rows of a, four columns of b, side by side for each k; the last panels end in zeros.
  const panels = Math.ceil(columns / TILE);
  const bPanels = new Float64Array(panels * inner * TILE);
  for (let panel = 0; panel < panels; panel++) {
    pack(
      b.data,
      b.offset,
      b.columnStride,
      b.rowStride,
      panel * TILE,
      columns,
      inner,
      bPanels,
      panel * inner * TILE,
    );
  }
  const aPanel = new Float64Array(inner * TILE);
  const tile = new Float64Array(TILE * TILE);
  for (let i = 0; i < rows; i += TILE) {
    const height = Math.min(TILE, rows - i);
    if (height < TILE) aPanel.fill(0);
    pack(a.data, a.offset, a.rowStride, a.columnStride, i, rows, inner, aPanel, 0);
    for (let panel = 0; panel < panels; panel++) {
      multiplyTile(aPanel, bPanels, panel * inner * TILE, inner, tile);
      const j = panel * TILE;
      const width = Math.min(TILE, columns - j);
      for (let row = 0; row < height; row++) {
        const at = outOffset + (i + row) * columns + j;
        if (accumulate)
          for (let column = 0; column < width; column++) out[at + column] += tile[row * TILE + column];
        else for (let column = 0; column < width; column++) out[at + column] = tile[row * TILE + column];
      }
    }
  }
}

/** Copies up to four lines from `first` on, each of `inner` elements, so that the four elements of each k adjoin. */
function pack(
  data: Float32Array,
  offset: number,
  lineStride: number,
  innerStride: number,
  first: number,
  lines: number,
  inner: number,
  panel: Float64Array,
  at: number,
): void {
  const count = Math.min(TILE, lines - first);
  for (let line = 0; line < count; line++) {
    let from = offset + (first + line) * lineStride;
    let to = at + line;
    for (let k = 0; k < inner; k++) {
      panel[to] = data[from];
      from += innerStride;
      to += TILE;
    }
  }
}

/** The 4×4 sums over k of one panel of each operand. */
function multiplyTile(
  a: Float64Array,
  b: Float64Array,
  bOffset: number,
  inner: number,
  tile: Float64Array,
): void {
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  let s20 = 0;
  let s21 = 0;
  let s22 = 0;
  let s23 = 0;
  let s30 = 0;
  let s31 = 0;
  let s32 = 0;
  let s33 = 0;
  for (let k = 0, p = 0, q = bOffset; k < inner; k++, p += TILE, q += TILE) {
    const b0 = b[q];
    const b1 = b[q + 1];
    const b2 = b[q + 2];
    const b3 = b[q + 3];
    const a0 = a[p];
    s00 += a0 * b0;
    s01 += a0 * b1;
    s02 += a0 * b2;
    s03 += a0 * b3;
    const a1 = a[p + 1];
    s10 += a1 * b0;
    s11 += a1 * b1;
    s12 += a1 * b2;
    s13 += a1 * b3;
    const a2 = a[p + 2];
    s20 += a2 * b0;
    s21 += a2 * b1;
    s22 += a2 * b2;
    s23 += a2 * b3;
    const a3 = a[p + 3];
    s30 += a3 * b0;
    s31 += a3 * b1;
    s32 += a3 * b2;
    s33 += a3 * b3;
  }
  tile[0] = s00;
  tile[1] = s01;
  tile[2] = s02;
  tile[3] = s03;
  tile[4] = s10;
  tile[5] = s11;
  tile[6] = s12;
  tile[7] = s13;
  tile[8] = s20;
  tile[9] = s21;
  tile[10] = s22;
  tile[11] = s23;
  tile[12] = s30;
  tile[13] = s31;
  tile[14] = s32;
  tile[15] = s33;
}
