import { loadPart } from './tile';

/** A panel from a matrix whose columns adjoin. */
export function packRows(from: usize, to: usize, inner: i32, rowStride: usize, width: i32): void {
  const end = to + (<usize>inner << 5);
  if (width == 8) {
    while (to != end) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      from += rowStride;
      to += 32;
    }
  } else if (width > 4) {
    while (to != end) {
      v128.store(to, v128.load(from));
      v128.store(to, loadPart(from + 16, width - 4), 16);
      from += rowStride;
      to += 32;
    }
  } else {
    while (to != end) {
      v128.store(to, loadPart(from, width));
      from += rowStride;
      to += 32;
    }
  }
}

/** A panel from a matrix that lies transposed: eight rows of it, four elements of each at a time. */
export function packColumns(
  from: usize,
  to: usize,
  inner: i32,
  rowStride: usize,
  columnStride: usize,
  width: i32,
): void {
  packFour(from, to, inner, rowStride, columnStride, width - 1);
  if (width > 4) packFour(from + 4 * columnStride, to + 16, inner, rowStride, columnStride, width - 5);
}

function packFour(
  p0: usize,
  to: usize,
  inner: i32,
  rowStride: usize,
  columnStride: usize,
  last: i32,
): void {
  let p1 = p0 + <usize>min(1, last) * columnStride;
  let p2 = p0 + <usize>min(2, last) * columnStride;
  let p3 = p0 + <usize>min(3, last) * columnStride;
  let k = 0;
  if (rowStride == 4) {
    for (; k + 4 <= inner; k += 4) {
      const r0 = v128.load(p0);
      const r1 = v128.load(p1);
      const r2 = v128.load(p2);
      const r3 = v128.load(p3);
      const low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5);
      const high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7);
      const low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
      const high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
      v128.store(to, i64x2.shuffle(low01, low23, 0, 2));
      v128.store(to, i64x2.shuffle(low01, low23, 1, 3), 32);
      v128.store(to, i64x2.shuffle(high01, high23, 0, 2), 64);
      v128.store(to, i64x2.shuffle(high01, high23, 1, 3), 96);
      p0 += 16;
      p1 += 16;
      p2 += 16;
      p3 += 16;
      to += 128;
    }
  }
  for (; k < inner; k++) {
    store<f32>(to, load<f32>(p0));
    store<f32>(to, load<f32>(p1), 4);
    store<f32>(to, load<f32>(p2), 8);
    store<f32>(to, load<f32>(p3), 12);
    p0 += rowStride;
    p1 += rowStride;
    p2 += rowStride;
    p3 += rowStride;
    to += 32;
  }
}
