/**
 * Elements from one order to another, unchanged: whatever they are, of one or of four bytes, bits are copied.
 */

/** From here on `memory.copy` is faster than a loop. */
const LONG: i32 = 512;

/** Any number of bytes, at any address. */
export function copyBytes(to: usize, from: usize, bytes: i32): void {
  if (bytes >= LONG) {
    memory.copy(to, from, bytes);
    return;
  }
  let at: usize = 0;
  const vectors = <usize>(bytes & ~15);
  for (; at < vectors; at += 16) v128.store(to + at, v128.load(from + at));
  const words = <usize>(bytes & ~3);
  for (; at < words; at += 4) store<u32>(to + at, load<u32>(from + at));
  for (; at < <usize>bytes; at++) store<u8>(to + at, load<u8>(from + at));
}

/** The low byte of `pattern`, or all four of them, over and over. They are equal where elements are bytes. */
function fillBytes(to: usize, bytes: i32, pattern: u32): void {
  let at: usize = 0;
  const vector = i32x4.splat(pattern);
  const vectors = <usize>(bytes & ~15);
  for (; at < vectors; at += 16) v128.store(to + at, vector);
  const words = <usize>(bytes & ~3);
  for (; at < words; at += 4) store<u32>(to + at, pattern);
  for (; at < <usize>bytes; at++) store<u8>(to + at, <u8>pattern);
}

/**
 * Copies runs of bytes that lie in axes with any strides on either side.
 *
 * args: from, to; run (bytes), chunk (bytes: longer runs are cut, one to a part at most), runs, perPart (runs), fromOffset,
 * toOffset, axes, and for each axis, the outermost first, its length and the strides on both sides. All in bytes.
 * A part: `perPart` runs, or a chunk of one.
 */
export function copyRuns(args: usize, begin: i32, end: i32): void {
  const source = <usize>load<u32>(args) + <usize>load<u32>(args, 24);
  const target = <usize>load<u32>(args, 4) + <usize>load<u32>(args, 28);
  const run = load<i32>(args, 8);
  const chunk = load<i32>(args, 12);
  const runs = load<i32>(args, 16);
  const perPart = load<i32>(args, 20);
  const axes = load<i32>(args, 32);
  const chunks = (run + chunk - 1) / chunk;
  const inner = args + 36 + <usize>(axes - 1) * 12;
  const innerLength = axes > 0 ? load<i32>(inner) : 1;
  const fromStep = axes > 0 ? <usize>load<u32>(inner, 4) : 0;
  const toStep = axes > 0 ? <usize>load<u32>(inner, 8) : 0;
  for (let part = begin; part < end; part++) {
    const group = part / chunks;
    const start = (part - group * chunks) * chunk;
    const bytes = min(chunk, run - start);
    let index = group * perPart;
    const stop = min(index + perPart, runs);
    while (index < stop) {
      let rest = index / innerLength;
      const first = index - rest * innerLength;
      const count = min(innerLength - first, stop - index);
      let from = source + <usize>start + <usize>first * fromStep;
      let to = target + <usize>start + <usize>first * toStep;
      for (let axis = axes - 2; axis >= 0; axis--) {
        const words = args + 36 + <usize>axis * 12;
        const length = load<i32>(words);
        const next = rest / length;
        const place = <usize>(rest - next * length);
        from += place * <usize>load<u32>(words, 4);
        to += place * <usize>load<u32>(words, 8);
        rest = next;
      }
      if (bytes == 4) {
        if (fromStep == 0 && toStep == 4) {
          fillBytes(to, count << 2, load<u32>(from));
        } else {
          for (let i = 0; i < count; i++, from += fromStep, to += toStep) store<u32>(to, load<u32>(from));
        }
      } else if (bytes == 1) {
        for (let i = 0; i < count; i++, from += fromStep, to += toStep) store<u8>(to, load<u8>(from));
      } else {
        for (let i = 0; i < count; i++, from += fromStep, to += toStep) copyBytes(to, from, bytes);
      }
      index += count;
    }
  }
}

/** Elements of the input's innermost axis that are done together: a cache line. */
const STRIP: i32 = 16;

/**
 * Transposes matrices of four-byte elements, in blocks of 4 × 4.
 *
 * args: from, to; rows (the axis that adjoins in the output), columns (the one that adjoins in the input), fromStep (bytes
 * of the input from row to row), toStep (bytes of the output from column to column), units, perPart, axes, and for each
 * axis of the batch, the outermost first, its length and the strides on both sides in bytes.
 * A unit: a strip of 16 columns of one matrix. A part: `perPart` units.
 */
export function transposeBlocks(args: usize, begin: i32, end: i32): void {
  const source = <usize>load<u32>(args);
  const target = <usize>load<u32>(args, 4);
  const rows = load<i32>(args, 8);
  const columns = load<i32>(args, 12);
  const fromStep = <usize>load<u32>(args, 16);
  const toStep = <usize>load<u32>(args, 20);
  const units = load<i32>(args, 24);
  const perPart = load<i32>(args, 28);
  const axes = load<i32>(args, 32);
  const strips = (columns + STRIP - 1) / STRIP;
  const stop = min(end * perPart, units);
  for (let unit = begin * perPart; unit < stop; unit++) {
    let rest = unit / strips;
    const column = (unit - rest * strips) * STRIP;
    let from = source + (<usize>column << 2);
    let to = target + <usize>column * toStep;
    for (let axis = axes - 1; axis >= 0; axis--) {
      const words = args + 36 + <usize>axis * 12;
      const length = load<i32>(words);
      const next = rest / length;
      const place = <usize>(rest - next * length);
      from += place * <usize>load<u32>(words, 4);
      to += place * <usize>load<u32>(words, 8);
      rest = next;
    }
    transposeStrip(from, to, rows, min(STRIP, columns - column), fromStep, toStep);
  }
}

function transposeStrip(from: usize, to: usize, rows: i32, columns: i32, fromStep: usize, toStep: usize): void {
  let row = 0;
  for (; row + 4 <= rows; row += 4, from += fromStep << 2, to += 16) {
    let column = 0;
    let p = from;
    let q = to;
    for (; column + 4 <= columns; column += 4, p += 16, q += toStep << 2) {
      const r0 = v128.load(p);
      const r1 = v128.load(p + fromStep);
      const r2 = v128.load(p + 2 * fromStep);
      const r3 = v128.load(p + 3 * fromStep);
      const low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5);
      const high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7);
      const low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
      const high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
      v128.store(q, i64x2.shuffle(low01, low23, 0, 2));
      v128.store(q + toStep, i64x2.shuffle(low01, low23, 1, 3));
      v128.store(q + 2 * toStep, i64x2.shuffle(high01, high23, 0, 2));
      v128.store(q + 3 * toStep, i64x2.shuffle(high01, high23, 1, 3));
    }
    for (; column < columns; column++, p += 4, q += toStep) {
      store<u32>(q, load<u32>(p));
      store<u32>(q, load<u32>(p + fromStep), 4);
      store<u32>(q, load<u32>(p + 2 * fromStep), 8);
      store<u32>(q, load<u32>(p + 3 * fromStep), 12);
    }
  }
  for (; row < rows; row++, from += fromStep, to += 4) {
    let p = from;
    let q = to;
    for (let column = 0; column < columns; column++, p += 4, q += toStep) store<u32>(q, load<u32>(p));
  }
}

/**
 * Puts a constant around an array.
 *
 * args: from, to; pattern (the constant's bytes), before, length, after (of each row, in bytes), chunk (bytes: longer rows
 * are cut), rows (of the output), perPart (rows), axes, and for each outer axis, the outermost first, how much stands
 * before, its length, how much stands after (in elements), and its stride in the input (in bytes).
 * A part: `perPart` rows, or a chunk of one.
 */
export function padRows(args: usize, begin: i32, end: i32): void {
  const source = <usize>load<u32>(args);
  const target = <usize>load<u32>(args, 4);
  const pattern = load<u32>(args, 8);
  const before = load<i32>(args, 12);
  const inside = before + load<i32>(args, 16);
  const bytes = inside + load<i32>(args, 20);
  const chunk = load<i32>(args, 24);
  const rows = load<i32>(args, 28);
  const perPart = load<i32>(args, 32);
  const axes = load<i32>(args, 36);
  const chunks = (bytes + chunk - 1) / chunk;
  for (let part = begin; part < end; part++) {
    const group = part / chunks;
    const start = (part - group * chunks) * chunk;
    const length = min(chunk, bytes - start);
    const stop = min((group + 1) * perPart, rows);
    for (let row = group * perPart; row < stop; row++) {
      let from = source;
      let rest = row;
      let within = true;
      for (let axis = axes - 1; axis >= 0; axis--) {
        const words = args + 40 + (<usize>axis << 4);
        const size = load<i32>(words) + load<i32>(words, 4) + load<i32>(words, 8);
        const next = rest / size;
        const place = rest - next * size - load<i32>(words);
        if (place < 0 || place >= load<i32>(words, 4)) {
          within = false;
          break;
        }
        from += <usize>place * <usize>load<u32>(words, 12);
        rest = next;
      }
      const to = target + <usize>row * <usize>bytes;
      if (!within) {
        fillBytes(to + start, length, pattern);
        continue;
      }
      // Where the copied part of this chunk begins and ends, in bytes of the row.
      const last = start + length;
      const first = min(max(start, before), last);
      const second = max(first, min(last, inside));
      fillBytes(to + start, first - start, pattern);
      copyBytes(to + first, from + first - before, second - first);
      fillBytes(to + second, last - second, pattern);
    }
  }
}
