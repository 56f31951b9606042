import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../gpu_backend.js';
import { linearGroups } from '../graph.js';
import type { Element, Program } from '../program.js';

/**
 * An operand of a product, as the function that gives its elements: of the left one a line is a row, of the right one a
 * column, and `k` runs along the line. Its tensor is `x0` on the left, `x1` on the right; its uniforms need names that
 * the other's don't have.
 */
export interface Factor {
  readonly tensor: TensorInfo;
  /** What tells its code apart. */
  readonly key: string;
  readonly element: Extract<Element, 'f32' | 'vec4f'>;
  /** Where the neighbours of an element lie in memory: neighbouring invocations read neighbours. */
  readonly neighbours: 'along' | 'across';
  readonly uniforms: readonly string[];
  readonly words: readonly number[];
  /** WGSL of a body: what the elements of a line have in common, a vec4i, from `batch` and `index` (u32). */
  readonly line: string;
  /**
   * WGSL of a body: the elements `k` to `k + 3` of `line` as a vec4f, with zeros from `end` on; k is a multiple of 4.
   * See `oneByOne`. With 'vec4f', whole vectors are before the end or behind it.
   */
  readonly four: string;
  /** WGSL at module scope. */
  readonly declarations?: string;
}

/** Products of matrices, one for each number below `batch`: result(row, column) = Σ_k left(row, k) · right(column, k). */
export interface Product {
  readonly left: Factor;
  readonly right: Factor;
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  /** The length of the sums; the longest, where batches differ. */
  readonly inner: number;
  /** Of the result: as many elements as there are results, unless `scatter` says where they go. */
  readonly shape: readonly number[];
  readonly scatter?: Scatter;
}

/** Products of which each batch has its own length, and results that don't lie in rows. */
export interface Scatter {
  readonly key: string;
  readonly uniforms: readonly string[];
  readonly words: readonly number[];
  /** WGSL at module scope: `fn innerOf(batch: u32) -> u32`, `fn put(batch: u32, row: u32, column: u32, value: f32)`. */
  readonly declarations: string;
}

/** The body of a factor's `four` that takes elements one by one, from an expression with `$k`. */
export function oneByOne(expression: string): string {
  const lines = ['x', 'y', 'z', 'w'].map((component, j) => {
    const at = j === 0 ? 'k' : `(k + ${j}u)`;
    return `if (${at} < end) { four.${component} = ${expression.replaceAll('$k', at)}; }`;
  });
  return ['var four = vec4f();', ...lines, 'return four;'].join('\n');
}

/** The body of a factor's `four` that reads a vector, from an expression of the place of element k. */
export function vector(name: string, place: string): string {
  return `if (k >= end) { return vec4f(); }\nreturn ${name}[(${place}) / 4u];`;
}

/** What a workgroup of 256 computes: results of so many rows and columns, over `depth` terms at a time. */
interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

const INVOCATIONS = 256;

/** In a step each invocation reads no more than one vector of either operand, so that its line stays the same. */
function tileOf(rows: number, columns: number): Tile {
  return { rows, columns, depth: (4 * INVOCATIONS) / Math.max(rows, columns) };
}

/** Workgroups that a GPU should have at least: large ones run about as many at a time, small ones a fraction. */
const ENOUGH_GROUPS = 128;
/** Sums that are long enough to be cut into pieces, and the steps that a piece is worth. */
const LONG = 1024;
const STEPS = 16;

/**
 * Tiles as large as the result gives reason for, up to 64 × 64: an element that is read serves a whole line of a tile.
 * Where that leaves too few workgroups, long sums are cut into chunks, and tiles are made smaller.
 */
export function planOf({
  batch,
  rows,
  columns,
  inner,
}: Pick<Product, 'batch' | 'rows' | 'columns' | 'inner'>): {
  tile: Tile;
  chunks: number;
} {
  const fit = (length: number): number => (length <= 16 ? 16 : length <= 32 ? 32 : 64);
  // A few rows or columns: the other operand is all that counts, and is read once.
  if (rows <= 4 || columns <= 4) {
    const tile = rows <= 4 ? tileOf(4, 64) : tileOf(64, 4);
    return { tile, chunks: chunksOf(inner, tile, groupsOf(batch, rows, columns, tile)) };
  }
  let tile = tileOf(fit(rows), fit(columns));
  let chunks = chunksOf(inner, tile, groupsOf(batch, rows, columns, tile));
  while (groupsOf(batch, rows, columns, tile) * chunks < ENOUGH_GROUPS && tile.rows * tile.columns > 256) {
    tile =
      tile.rows > tile.columns ? tileOf(tile.rows / 2, tile.columns) : tileOf(tile.rows, tile.columns / 2);
    chunks = Math.min(chunks, Math.max(1, Math.floor(inner / (STEPS * tile.depth))));
  }
  return { tile, chunks };
}

function groupsOf(batch: number, rows: number, columns: number, tile: Tile): number {
  return batch * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
}

function chunksOf(inner: number, { depth }: Tile, groups: number): number {
  if (inner < LONG) return 1;
  const wanted = Math.ceil(ENOUGH_GROUPS / Math.max(1, groups));
  return Math.max(1, Math.min(wanted, Math.floor(inner / (STEPS * depth))));
}

/** Multiplies: one dispatch, or two where the sums are cut into chunks. The order of the sums depends on shapes alone. */
export function multiply(gpu: GpuBackend, product: Product): TensorInfo {
  const { left, right, batch, rows, columns, inner, shape, scatter } = product;
  if (util.sizeFromShape([...shape]) === 0 || inner === 0) return gpu.map(shape, 'float32', [], '0f');
  const plan = planOf(product);
  const { tile } = plan;
  const wanted = scatter ? 1 : plan.chunks;
  // Whole steps, so that only the last chunk has a remainder.
  const chunk = Math.ceil(inner / wanted / tile.depth) * tile.depth;
  const chunks = Math.ceil(inner / chunk);
  const tilesAcross = Math.ceil(columns / tile.columns);
  const tilesDown = Math.ceil(rows / tile.rows);
  const tiles = tilesAcross * tilesDown * batch * chunks;
  const size = batch * rows * columns;
  const out = gpu.allocate(chunks > 1 ? [chunks, size] : shape, 'float32');
  gpu.launch(
    productProgram(left, right, tile, scatter, chunks > 1),
    [left.tensor, right.tensor],
    [out],
    [
      ...[rows, columns, inner, tiles, tilesAcross, tilesDown],
      ...(chunks > 1 ? [size, chunks, chunk] : []),
      ...left.words,
      ...right.words,
      ...(scatter?.words ?? []),
    ],
    linearGroups(tiles, 1),
  );
  if (chunks === 1) return out;
  const sum = gpu.allocate(shape, 'float32');
  gpu.launch(SUM_CHUNKS, [out], [sum], [size, chunks], linearGroups(size));
  gpu.disposeData(out.dataId);
  return sum;
}

const SUM_CHUNKS: Program = {
  key: 'sumChunks',
  outputs: ['f32'],
  inputs: ['f32'],
  uniforms: ['size: u32', 'chunks: u32'],
  workgroup: [256, 1, 1],
  stores: true,
  float16: 'makes',
  body: `
    let i = (group.y * groups.x + group.x) * 256u + lane;
    if (i < u.size) {
      var sum = 0f;
      for (var chunk = 0u; chunk < u.chunks; chunk++) { sum += x0[chunk * u.size + i]; }
      store(i, sum);
    }`,
};

const IN_ROWS = `
fn innerOf(batch: u32) -> u32 { return u.inner; }
fn put(batch: u32, row: u32, column: u32, value: f32) {
  store((batch * u.rows + row) * u.columns + column, value);
}`;

/**
 * Tiles of both operands pass through workgroup memory, as vectors of four terms: place (term / 4) · lines + line. An
 * invocation sums for rows and columns that lie a stride apart, so that its neighbours read, and write, neighbours. What
 * comes next is read while the tile at hand is multiplied. With factors in float16 the tiles hold these; products of two
 * of them are exact in float32.
 */
function productProgram(
  left: Factor,
  right: Factor,
  tile: Tile,
  scatter: Scatter | undefined,
  chunked: boolean,
  float16 = false,
): Program {
  const across = Math.min(tile.columns, 16 * Math.ceil(16 / tile.rows));
  const down = INVOCATIONS / across;
  const vectors = tile.depth / 4;
  const rowsEach = range(tile.rows / down);
  const columnsEach = range(tile.columns / across);
  const each = (text: (i: number, j: number) => string): string =>
    rowsEach.flatMap((i) => columnsEach.map((j) => text(i, j))).join('\n');
  const multiplyAdd = ['x', 'y', 'z', 'w']
    .map((c) => each((i, j) => `s${i}_${j} += a${i}.${c} * b${j}.${c};`))
    .join('\n');
  const a = reader('a', 'row0', 'u.rows', left, tile.rows, vectors, float16);
  const b = reader('b', 'column0', 'u.columns', right, tile.columns, vectors, float16);
  const fromTile = (place: string): string => (float16 ? `vec4f(${place})` : place);
  return {
    key: `product ${left.key} ${right.key} ${tile.rows}x${tile.columns} ${scatter?.key ?? ''}${chunked ? 'chunks' : ''}${float16 ? ' of float16' : ''}`,
    outputs: ['f32'],
    inputs: [left.element, right.element],
    uniforms: [
      ...['rows: u32', 'columns: u32', 'inner: u32', 'tiles: u32', 'across: u32', 'down: u32'],
      ...(chunked ? ['size: u32', 'chunks: u32', 'chunk: u32'] : []),
      ...left.uniforms,
      ...right.uniforms,
      ...(scatter?.uniforms ?? []),
    ],
    workgroup: [INVOCATIONS, 1, 1],
    ...(chunked ? {} : { stores: true, float16: 'makes' }),
    ...(!float16 && {
      withFactorsInFloat16: () => productProgram(left, right, tile, scatter, chunked, true),
    }),
    declarations: `
      ${a.declarations}
      ${b.declarations}
      ${chunked ? '' : (scatter?.declarations ?? IN_ROWS)}`,
    body: `
      let tile = group.y * groups.x + group.x;
      if (tile >= u.tiles) { return; }
      let column0 = tile % u.across * ${tile.columns}u;
      let row0 = tile / u.across % u.down * ${tile.rows}u;
      ${
        chunked
          ? `let chunk = tile / (u.across * u.down) % u.chunks;
      let batch = tile / (u.across * u.down) / u.chunks;
      let begin = chunk * u.chunk;
      let end = min(begin + u.chunk, u.inner);`
          : `let batch = tile / (u.across * u.down);
      let begin = 0u;
      let end = innerOf(batch);`
      }
      let x = lane % ${across}u;
      let y = lane / ${across}u;
      ${a.start}
      ${b.start}
      ${each((i, j) => `var s${i}_${j} = 0f;`)}
      for (var k = begin; k < end; k += ${tile.depth}u) {
        ${a.write}
        ${b.write}
        workgroupBarrier();
        ${a.next(tile.depth)}
        ${b.next(tile.depth)}
        for (var q = 0u; q < ${vectors}u; q++) {
          ${rowsEach.map((i) => `let a${i} = ${fromTile(`aTile[q * ${tile.rows}u + y + ${i * down}u]`)};`).join('\n')}
          ${columnsEach.map((j) => `let b${j} = ${fromTile(`bTile[q * ${tile.columns}u + x + ${j * across}u]`)};`).join('\n')}
          ${multiplyAdd}
        }
        workgroupBarrier();
      }
      ${each(
        (i, j) => `if (row0 + y + ${i * down}u < u.rows && column0 + x + ${j * across}u < u.columns) {
        ${
          chunked
            ? `y0[chunk * u.size + (batch * u.rows + row0 + y + ${i * down}u) * u.columns + column0 + x + ${j * across}u] = s${i}_${j};`
            : `put(batch, row0 + y + ${i * down}u, column0 + x + ${j * across}u, s${i}_${j});`
        }
      }`,
      )}`,
  };
}

/** WGSL by which a workgroup reads tiles of one operand, so many lines by so many vectors. */
function reader(
  name: 'a' | 'b',
  first: string,
  count: string,
  factor: Factor,
  lines: number,
  vectors: number,
  float16: boolean,
): { declarations: string; start: string; write: string; next: (depth: number) => string } {
  const [line, step] =
    factor.neighbours === 'along'
      ? [`lane / ${vectors}u`, `lane % ${vectors}u`]
      : [`lane % ${lines}u`, `lane / ${lines}u`];
  const busy = lines * vectors < INVOCATIONS;
  return {
    declarations: `
      var<workgroup> ${name}Tile: array<${float16 ? 'vec4h' : 'vec4f'}, ${lines * vectors}>;
      ${factor.declarations ?? ''}
      fn ${name}Line(batch: u32, index: u32) -> vec4i {
        ${factor.line}
      }
      fn ${name}Four(line: vec4i, k: u32, end: u32) -> vec4f {
        ${factor.four}
      }`,
    // Of a line that isn't there, no elements are.
    start: `
      let ${name}Index = ${first} + ${line};
      let ${name}Step = ${step};
      let ${name}There = ${name}Index < ${count}${busy ? ` && lane < ${lines * vectors}u` : ''};
      let ${name}End = select(0u, end, ${name}There);
      let ${name}Own = ${name}Line(batch, min(${name}Index, ${count} - 1u));
      var ${name}Next = ${name}Four(${name}Own, begin + 4u * ${name}Step, ${name}End);`,
    write: `${busy ? `if (lane < ${lines * vectors}u) ` : ''}{ ${name}Tile[${name}Step * ${lines}u + ${line}] = ${float16 ? `narrowedVector(${name}Next)` : `${name}Next`}; }`,
    next: (depth) => `${name}Next = ${name}Four(${name}Own, k + ${depth}u + 4u * ${name}Step, ${name}End);`,
  };
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}
