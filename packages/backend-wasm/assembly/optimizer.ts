// Kernels over any number of tensors at once, seen as one after another, each rounded up to sixteen elements; a part is
// a chunk of that. The pointers of the inputs end in 0, so that the kernel can count them.

/** average + (value − average) · rate. */
@inline
function towards(average: v128, value: v128, rate: v128): v128 {
  return f32x4.add(average, f32x4.mul(f32x4.sub(value, average), rate));
}

/**
 * Adam's moments, and the update from them, of each tensor: [root scale or 0, ε or 0, (update, first, second) …, 0;
 * update …, first …, second …; rate₁, rate₂, ε, chunk, elements …]. Where the scalars are given, √v is multiplied by the
 * first, and the second takes the place of the word ε.
 */
export function adamMoments(args: usize, begin: i32, end: i32): void {
  let count: usize = 0;
  while (load<u32>(args + 8 + count * 12)) count++;
  const inputs = args + 8;
  const outputs = inputs + count * 12 + 4;
  const numbers = outputs + count * 12;
  const rootScale = <usize>load<u32>(args);
  const scaled = rootScale != 0;
  const factor = scaled ? v128.load32_splat(rootScale) : f32x4.splat(1);
  const epsilon = v128.load32_splat(scaled ? <usize>load<u32>(args, 4) : numbers + 8);
  const firstRate = v128.load32_splat(numbers);
  const secondRate = v128.load32_splat(numbers, 4);
  const chunk = load<i32>(numbers, 12);
  const sizes = numbers + 16;

  const from = begin * chunk;
  const to = end * chunk;
  let start = 0;
  for (let i: usize = 0; i < count && start < to; i++) {
    const size = load<i32>(sizes + (i << 2));
    const stop = start + ((size + 15) & ~15);
    if (stop > from) {
      const words = inputs + i * 12;
      const update = <usize>load<u32>(words);
      const first = <usize>load<u32>(words, 4);
      const second = <usize>load<u32>(words, 8);
      const newUpdate = <usize>load<u32>(outputs + (i << 2));
      const newFirst = <usize>load<u32>(outputs + ((count + i) << 2));
      const newSecond = <usize>load<u32>(outputs + ((2 * count + i) << 2));
      const last = <usize>(min(to, stop) - start) << 2;
      for (let at = <usize>(max(from, start) - start) << 2; at < last; at += 16) {
        const u = v128.load(update + at);
        const m = towards(v128.load(first + at), u, firstRate);
        const v = towards(v128.load(second + at), f32x4.mul(u, u), secondRate);
        const root = f32x4.sqrt(v);
        const scaledRoot = scaled ? f32x4.mul(root, factor) : root;
        v128.store(newFirst + at, m);
        v128.store(newSecond + at, v);
        v128.store(newUpdate + at, f32x4.div(m, f32x4.add(scaledRoot, epsilon)));
      }
    }
    start = stop;
  }
}

/** Whether a part's elements are all finite, an int32 a part: [x …, 0; out; chunk, elements …]. */
export function finiteParts(args: usize, begin: i32, end: i32): void {
  let count: usize = 0;
  while (load<u32>(args + (count << 2))) count++;
  const out = <usize>load<u32>(args + ((count + 1) << 2));
  const numbers = args + ((count + 2) << 2);
  const chunk = load<i32>(numbers);
  for (let part = begin; part < end; part++) {
    const from = part * chunk;
    const to = from + chunk;
    let start = 0;
    // x − x is 0 for every finite x, and NaN for the others.
    let doubts = f32x4.splat(0);
    for (let i: usize = 0; i < count && start < to; i++) {
      const size = load<i32>(numbers + 4 + (i << 2));
      const stop = start + ((size + 15) & ~15);
      if (stop > from) {
        const x = <usize>load<u32>(args + (i << 2));
        let at = max(from, start) - start;
        const last = min(min(to, stop) - start, size);
        for (; at <= last - 4; at += 4) {
          const values = v128.load(x + (<usize>at << 2));
          doubts = f32x4.add(doubts, f32x4.sub(values, values));
        }
        for (; at < last; at++) {
          const value = v128.load32_splat(x + (<usize>at << 2));
          doubts = f32x4.add(doubts, f32x4.sub(value, value));
        }
      }
      start = stop;
    }
    store<i32>(out + (<usize>part << 2), i32(i32x4.all_true(f32x4.eq(doubts, doubts))));
  }
}

/** Whether all of so many int32 are other than 0, as a bool: [x, out, count]. One part. */
export function allTrue(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const count = <usize>load<u32>(args, 8);
  let all = begin < end;
  for (let i: usize = 0; i < count; i++) all = all && load<i32>(x + (i << 2)) != 0;
  store<u8>(<usize>load<u32>(args, 4), all ? 1 : 0);
}
