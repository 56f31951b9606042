import { loadTail, splat } from './math';

/**
 * Adam's moments of one tensor: [update, first, second, rootScale or 0, epsilon or 0] → [update, first, second],
 * [vectors, vectors in a part, bits of 1 − β₁, of 1 − β₂, of ε].
 *
 *   m ← m + (u − m)·(1 − β₁),   v ← v + (u² − v)·(1 − β₂),   u ← m / (√v [· rootScale] + epsilon)
 */
export function adamMoments(args: usize, begin: i32, end: i32): void {
  const update = <usize>load<u32>(args);
  const first = <usize>load<u32>(args, 4);
  const second = <usize>load<u32>(args, 8);
  const rootScale = <usize>load<u32>(args, 12);
  const added = <usize>load<u32>(args, 16);
  const newUpdate = <usize>load<u32>(args, 20);
  const newFirst = <usize>load<u32>(args, 24);
  const newSecond = <usize>load<u32>(args, 28);
  const perPart = load<i32>(args, 36);
  const rate1 = splat(reinterpret<f32>(load<i32>(args, 40)));
  const rate2 = splat(reinterpret<f32>(load<i32>(args, 44)));
  const epsilon = added ? v128.load32_splat(added) : splat(reinterpret<f32>(load<i32>(args, 48)));
  const scale = rootScale ? v128.load32_splat(rootScale) : splat(1);
  const stop = <usize>min(end * perPart, load<i32>(args, 32)) << 4;
  for (let at = <usize>(begin * perPart) << 4; at < stop; at += 16) {
    const u = v128.load(update + at);
    let m = v128.load(first + at);
    let v = v128.load(second + at);
    m = f32x4.add(m, f32x4.mul(f32x4.sub(u, m), rate1));
    v = f32x4.add(v, f32x4.mul(f32x4.sub(f32x4.mul(u, u), v), rate2));
    v128.store(newFirst + at, m);
    v128.store(newSecond + at, v);
    // · 1 changes nothing.
    const root = f32x4.mul(f32x4.sqrt(v), scale);
    v128.store(newUpdate + at, f32x4.div(m, f32x4.add(root, epsilon)));
  }
}

/**
 * Whether elements are finite, a part at a time: [x] → [doubts, float32], [elements, vectors in a part, first doubt]. A
 * doubt is 0 where all of its part are, NaN otherwise.
 */
export function findNotFinite(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const doubts = <usize>load<u32>(args, 4);
  const size = load<i32>(args, 8);
  const perPart = load<i32>(args, 12);
  const firstDoubt = load<i32>(args, 16);
  for (let part = begin; part < end; part++) {
    const start = part * perPart * 4;
    const stop = min(start + perPart * 4, size);
    let sum = splat(0);
    let i = start;
    let at = x + (<usize>start << 2);
    // x·0 is 0 for every finite x, NaN for the others.
    for (; i <= stop - 4; i += 4, at += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(at), splat(0)));
    if (i < stop) sum = f32x4.add(sum, f32x4.mul(loadTail(at, stop - i, 0), splat(0)));
    const total =
      f32x4.extract_lane(sum, 0) +
      f32x4.extract_lane(sum, 1) +
      f32x4.extract_lane(sum, 2) +
      f32x4.extract_lane(sum, 3);
    store<f32>(doubts + (<usize>(firstDoubt + part) << 2), total);
  }
}

/** [doubts] → [y, bool], [doubts]: 1 if none is NaN. One part. */
export function noDoubt(args: usize, begin: i32, end: i32): void {
  const doubts = <usize>load<u32>(args);
  const count = load<i32>(args, 8);
  let sum: f32 = 0;
  for (let i = 0; i < count; i++) sum += load<f32>(doubts + (<usize>i << 2));
  store<u8>(<usize>load<u32>(args, 4), sum == 0 ? 1 : 0);
}
