import type { Block, Engine } from './kernel.js';

/** An axis of a batch of products; strides are elements from one matrix to the next, 0 where all share one. */
export interface BatchAxis {
  readonly length: number;
  readonly aStride: number;
  readonly bStride: number;
  readonly outStride: number;
}

/** A batch of matrix products in float32; strides and offsets are in elements. */
export interface Product {
  readonly a: Block;
  readonly b: Block;
  readonly out: Block;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Whether a lies as [inner, rows], b as [columns, inner]. */
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** From row to row of a, b and out as they lie in memory; each defaults to the row's length. */
  readonly aRowStride?: number;
  readonly bRowStride?: number;
  readonly outRowStride?: number;
  /** Where the first matrix begins; 0 by default. */
  readonly aOffset?: number;
  readonly bOffset?: number;
  readonly outOffset?: number;
  /** How many products (1 by default), and from matrix to matrix of each operand: 0 for one that all share. Strides
   * default to matrices that lie one after another. */
  readonly batch?: number;
  readonly aStride?: number;
  readonly bStride?: number;
  readonly outStride?: number;
  /** A batch of several axes, the outermost first; takes the place of `batch` and its strides. */
  readonly axes?: readonly BatchAxis[];
  /** [columns], added to each row. */
  readonly bias?: Block | null;
  readonly activation?: 'linear' | 'relu';
}

/** A flag of the products' kernels, as in assembly/tile.ts. */
export const RELU = 2;

/** Multiplications that make a part: some 50 µs at 30 GFLOP/s. */
const PART_WORK = 2 ** 20;

/**
 * out(i, j) = activation(Σ_k a(i, k) · b(k, j) + bias(j)) for each matrix of a batch.
 *
 * Sums are float32, over k upwards from 0, whatever the size of the matrices or the cut into parts: a row of a product
 * has the same bits in a batch and alone. `out` must overlap neither operand.
 *
 * b is read where it lies while few rows pass over it, and otherwise copied into panels of eight columns first; a is
 * read where it lies, unless it is transposed and many columns pass over it.
 */
export function product(engine: Engine, call: Product): void {
  const { rows, inner, columns, transposeA = false, transposeB = false } = call;
  const aRowStride = call.aRowStride ?? (transposeA ? rows : inner);
  const bRowStride = call.bRowStride ?? (transposeB ? inner : columns);
  const outRowStride = call.outRowStride ?? columns;
  const axes = call.axes ?? oneAxis(call);
  const matrices = axes.reduce((count, { length }) => count * length, 1);
  const panels = Math.ceil(columns / 8);
  if (matrices === 0 || rows === 0 || panels === 0) return;

  let { a, b } = call;
  let aOffset = call.aOffset ?? 0;
  let bOffset = call.bOffset ?? 0;
  // Bytes: from row to row in a panel of eight, from panel to panel, from k to k.
  let aRow = transposeA ? 4 : aRowStride * 4;
  let aPanel = aRow * 8;
  let aStep = transposeA ? aRowStride * 4 : 4;
  let aStrides = axes.map(({ aStride }) => aStride * 4);
  if (transposeA && packsA(rows, panels)) {
    const packed = pack(engine, a, aOffset, inner, rows, aRowStride, 1, 0, axes, aStrides);
    a = packed.block;
    aStrides = packed.strides;
    aOffset = 0;
    aRow = 4;
    aPanel = inner * 32;
    aStep = 32;
  }

  let bPanel = 32;
  let bStep = bRowStride * 4;
  let bStrides = axes.map(({ bStride }) => bStride * 4);
  let tail = b;
  let tailStrides = bStrides;
  const direct = !transposeB && !packsB(rows, columns);
  const first = direct ? Math.floor(columns / 8) : 0;
  if (first < panels) {
    const [rowStride, columnStride] = transposeB ? [1, bRowStride] : [bRowStride, 1];
    const packed = pack(engine, b, bOffset, inner, columns, rowStride, columnStride, first, axes, bStrides);
    tail = packed.block;
    tailStrides = packed.strides;
    if (!direct) {
      b = packed.block;
      bStrides = packed.strides;
      bOffset = 0;
      bPanel = inner * 32;
      bStep = 32;
    }
  }

  const rowsPerPart = Math.min(64, Math.ceil(rows / 8) * 8);
  const panelWork = Math.max(1, rowsPerPart * inner * 8);
  const panelsPerPart = Math.min(panels, Math.max(1, Math.ceil(PART_WORK / panelWork)));
  const parts = matrices * Math.ceil(rows / rowsPerPart) * Math.ceil(panels / panelsPerPart);
  const integers = [
    rows,
    inner,
    columns,
    aRow,
    aPanel,
    aStep,
    bPanel,
    bStep,
    outRowStride * 4,
    aOffset * 4,
    bOffset * 4,
    (call.outOffset ?? 0) * 4,
    direct ? Math.floor(columns / 8) : panels,
    call.activation === 'relu' ? RELU : 0,
    rowsPerPart,
    panelsPerPart,
    axes.length,
  ];
  for (const [i, { length, outStride }] of axes.entries()) {
    integers.push(length, aStrides[i], bStrides[i], tailStrides[i], outStride * 4);
  }
  engine.launch('gemm', parts, [a, b, tail, call.bias ?? null], [call.out], integers);
}

function oneAxis(call: Product): BatchAxis[] {
  const { rows, inner, columns, batch = 1 } = call;
  if (batch === 1) return [];
  const { aStride = rows * inner, bStride = inner * columns, outStride = rows * columns } = call;
  return [{ length: batch, aStride, bStride, outStride }];
}

/** Whether copying b into panels costs less than reading lines that lie apart, once for every four rows. */
function packsB(rows: number, columns: number): boolean {
  return rows > 16 && columns > 8;
}

function packsA(rows: number, panels: number): boolean {
  return panels > 2 && rows > 8;
}

/**
 * Packs the columns of each matrix of an operand from panel `first` on, and gives the strides of the batch's axes among
 * the packed matrices, in bytes. The operand is [inner, columns] with strides in elements.
 */
function pack(
  engine: Engine,
  source: Block,
  offset: number,
  inner: number,
  columns: number,
  rowStride: number,
  columnStride: number,
  first: number,
  axes: readonly BatchAxis[],
  byteStrides: readonly number[],
): { block: Block; strides: number[] } {
  const count = Math.ceil(columns / 8) - first;
  const panelBytes = inner * 32;
  const own: number[] = [];
  const strides = new Array<number>(axes.length).fill(0);
  let matrices = 1;
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    if (byteStrides[axis] === 0) continue;
    own.unshift(axes[axis].length, byteStrides[axis]);
    strides[axis] = matrices * count * panelBytes;
    matrices *= axes[axis].length;
  }
  const block = engine.scratch(matrices * count * panelBytes);
  const panelsPerPart = panelsAtOnce(count, inner);
  engine.launch(
    'packPanels',
    matrices * Math.ceil(count / panelsPerPart),
    [source],
    [block],
    [
      inner,
      columns,
      first,
      count,
      rowStride * 4,
      columnStride * 4,
      offset * 4,
      count * panelBytes,
      panelBytes,
      panelsPerPart,
      own.length / 2,
      ...own,
    ],
  );
  return { block, strides };
}

/** Panels of `packPanels` that make a part: some 32,000 elements. */
export function panelsAtOnce(count: number, inner: number): number {
  return Math.max(1, Math.min(count, Math.ceil(2 ** 12 / Math.max(1, inner))));
}
