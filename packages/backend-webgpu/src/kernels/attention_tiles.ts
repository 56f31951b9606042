import { WORKGROUP } from './layout.js';

/** Queries and keys of a block. With three tiles it takes 13 of the 16 kB that every GPU has for a workgroup. */
export const TILE = 32;
/** A row of a tile in the workgroup's memory: one more than there are, so that columns are in different banks. */
export const PITCH = TILE + 1;
/** Columns of a result that a tile of its own goes through. */
export const CHUNK = TILE;

/** `weight` holds what rows are multiplied by; `left` and `right` hold pieces of what is multiplied. */
export const TILES = ['left', 'right', 'weight']
  .map((name) => `var<workgroup> ${name}: array<f32, ${TILE * PITCH}>;`)
  .join('\n');

/** Rows of one of the arrays [count, rows, size]: `first` is the first of a block. */
export interface Rows {
  readonly name: 'query' | 'key' | 'value' | 'dy';
  readonly first: string;
  readonly size: 'size' | 'width';
}

export function chunks(count: number): number[] {
  return Array.from({ length: count }, (_, c) => c);
}

/**
 * Where an invocation is: `matrix`, the block's first row `begin`, `firstColumn` of those that it makes; and in a tile its
 * `row` and `column`, with those 8, 16 and 24 to the right.
 */
export function blocked(count: number): string {
  return `
    let block = group.y * groups.x + group.x;
    let matrix = block / u.columnGroups / u.blocks;
    let begin = block / u.columnGroups % u.blocks * ${TILE}u;
    let firstColumn = block % u.columnGroups * ${count * CHUNK}u;
    let row = lane / 8u;
    let column = lane % 8u;`;
}

/** Loops over `k`, as far as there is something in the tile, by eights: what is beyond is 0. */
function overTile(length: string): string {
  return `for (var eight = 0u; eight < min(${TILE}u, ${length}); eight += 8u) {
    for (var k = eight; k < eight + 8u; k++)`;
}

function rowsOf({ name }: Rows): 'queries' | 'keys' {
  return name === 'query' || name === 'dy' ? 'queries' : 'keys';
}

/** Reads a tile: rows from `first` on, columns from `left` on; 0 where there are none. */
function loadTile(tile: string, from: Rows, left: string): string {
  const { name, first, size } = from;
  const rows = rowsOf(from);
  return `
    for (var e = lane; e < ${TILE * TILE}u; e += ${WORKGROUP}u) {
      let r = ${first} + e / ${TILE}u;
      let c = ${left} + e % ${TILE}u;
      var value = 0f;
      if (r < u.${rows} && c < u.${size}) { value = ${name}Data[(matrix * u.${rows} + r) * u.${size} + c]; }
      ${tile}[e / ${TILE}u * ${PITCH}u + e % ${TILE}u] = value;
    }`;
}

/** total += a·bᵀ: of the invocation's row of a with its four rows of b. */
export function rowsTimesRows(total: string, a: Rows, b: Rows): string {
  return `
    for (var d = 0u; d < u.${a.size}; d += ${TILE}u) {
      workgroupBarrier();
      ${loadTile('left', a, 'd')}
      ${loadTile('right', b, 'd')}
      workgroupBarrier();
      ${overTile(`u.${a.size} - d`)} {
        ${total} += left[row * ${PITCH}u + k] * vec4f(
          right[column * ${PITCH}u + k], right[(column + 8u) * ${PITCH}u + k],
          right[(column + 16u) * ${PITCH}u + k], right[(column + 24u) * ${PITCH}u + k]);
      }}
    }`;
}

/** total0 …, one a chunk of columns, += tile·b: of the invocation's row of the tile with its four columns of b. */
export function tileTimesRows(count: number, total: string, tile: string, b: Rows): string {
  return chunks(count)
    .map(
      (c) => `
        workgroupBarrier();
        ${loadTile('right', b, `firstColumn + ${c * CHUNK}u`)}
        workgroupBarrier();
        ${overTile(`u.${rowsOf(b)} - ${b.first}`)} {
          let at = k * ${PITCH}u + column;
          ${total}${c} += ${tile}[row * ${PITCH}u + k] * vec4f(right[at], right[at + 8u], right[at + 16u], right[at + 24u]);
        }}`,
    )
    .join('\n');
}
