import { copyBytes } from './movement';

/**
 * Slices of an array by a list of indices: out[b, o, k, :] = x[b, o, indices[b, k], :]. An index that is out of bounds
 * gives a slice of `filler`.
 *
 * args: x, indices, out; rows (slices of the result), perPart (rows), perBatch (indices of a batch), outer, length (of the
 * axis that is looked up), bytes (of a slice), filler (four bytes).
 * A part: `perPart` rows.
 */
export function gatherRows(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const indices = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const perPart = load<i32>(args, 16);
  const perBatch = load<i32>(args, 20);
  const outer = load<i32>(args, 24);
  const length = load<i32>(args, 28);
  const bytes = load<i32>(args, 32);
  const filler = load<u32>(args, 36);
  let row = begin * perPart;
  const stop = min(end * perPart, load<i32>(args, 12));
  let to = out + <usize>row * <usize>bytes;
  while (row < stop) {
    const plane = row / perBatch;
    let k = row - plane * perBatch;
    const last = min(perBatch, k + stop - row);
    row += last - k;
    const list = indices + (<usize>(plane / outer) * <usize>perBatch << 2);
    const from = x + <usize>plane * <usize>length * <usize>bytes;
    for (; k < last; k++, to += bytes) {
      const index = load<i32>(list + (<usize>k << 2));
      if (<u32>index >= <u32>length) {
        for (let i = 0; i < bytes; i++) store<u8>(to + i, <u8>(filler >> ((i & 3) << 3)));
      } else if (bytes == 4) {
        store<u32>(to, load<u32>(from + (<usize>index << 2)));
      } else {
        copyBytes(to, from + <usize>index * <usize>bytes, bytes);
      }
    }
  }
}

/**
 * out[s, :] = Σ x[i, :] over the i whose id is s, in float32 and in the order of i; 0 where there is none. Ids that are no
 * segment are left out.
 *
 * args: x, ids, out; rows, columns, segments, perRange (segments), perGroup (columns).
 * A part: a range of segments by a group of columns. It reads all ids, and only it adds to what it owns.
 */
export function segmentSums(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const ids = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const rows = load<i32>(args, 12);
  const columns = load<i32>(args, 16);
  const segments = load<i32>(args, 20);
  const perRange = load<i32>(args, 24);
  const perGroup = load<i32>(args, 28);
  const groups = (columns + perGroup - 1) / perGroup;
  const line = <usize>columns << 2;
  for (let part = begin; part < end; part++) {
    const range = part / groups;
    const column = (part - range * groups) * perGroup;
    const width = min(perGroup, columns - column);
    const first = range * perRange;
    const count = min(perRange, segments - first);
    const from = x + (<usize>column << 2);
    const to = out + <usize>first * line + (<usize>column << 2);
    if (width == columns) {
      memory.fill(to, 0, <usize>count * line);
    } else {
      for (let segment = 0; segment < count; segment++) memory.fill(to + <usize>segment * line, 0, <usize>width << 2);
    }
    for (let row = 0; row < rows; row++) {
      const segment = load<i32>(ids + (<usize>row << 2)) - first;
      if (<u32>segment < <u32>count) addRow(to + <usize>segment * line, from + <usize>row * line, width);
    }
  }
}

// @ts-ignore: decorator
@inline
function addRow(to: usize, from: usize, width: i32): void {
  const bytes = <usize>width << 2;
  const vectors = bytes & ~15;
  let at: usize = 0;
  for (; at < vectors; at += 16) {
    v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)));
  }
  for (; at < bytes; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at));
}
