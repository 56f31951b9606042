import { hyperbolicTangent, loadTail, logistic, splat, storeTail } from './math';

/** Four elements at `at`, of which `left` count; the others are 0. */
// @ts-ignore: decorator
@inline
function loadFour(at: usize, left: i32): v128 {
  return left >= 4 ? v128.load(at) : loadTail(at, left, 0);
}

// @ts-ignore: decorator
@inline
function storeFour(at: usize, left: i32, x: v128): void {
  if (left >= 4) v128.store(at, x);
  else storeTail(at, left, x);
}

/**
 * A step of an LSTM: [gates [rows, 4·units], cell [rows, units]] → [h | c] of [rows, 2·units], [rows, units, rows in a
 * part]: c = σ(f)·cell + σ(i)·tanh(g), h = σ(o)·tanh(c), with gates = [i | f | g | o].
 */
export function lstmCell(args: usize, begin: i32, end: i32): void {
  const gates = <usize>load<u32>(args);
  const cell = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const units = load<i32>(args, 16);
  const perPart = load<i32>(args, 20);
  const stop = min(end * perPart, load<i32>(args, 12));
  const line = <usize>units << 2;
  for (let row = begin * perPart; row < stop; row++) {
    let from = gates + <usize>row * (line << 2);
    let last = cell + <usize>row * line;
    let to = out + <usize>row * (line << 1);
    for (let left = units; left > 0; left -= 4, from += 16, last += 16, to += 16) {
      const input = logistic(loadFour(from, left));
      const forget = logistic(loadFour(from + line, left));
      const candidate = hyperbolicTangent(loadFour(from + 2 * line, left));
      const output = logistic(loadFour(from + 3 * line, left));
      const next = f32x4.add(f32x4.mul(forget, loadFour(last, left)), f32x4.mul(input, candidate));
      storeFour(to, left, f32x4.mul(output, hyperbolicTangent(next)));
      storeFour(to + line, left, next);
    }
  }
}

/** y · (1 − y): the slope of a sigmoid whose value is y. */
// @ts-ignore: decorator
@inline
function slope(y: v128): v128 {
  return f32x4.mul(y, f32x4.sub(splat(1), y));
}

/** 1 − y²: the slope of a tanh whose value is y. */
// @ts-ignore: decorator
@inline
function slopeOfTangent(y: v128): v128 {
  return f32x4.sub(splat(1), f32x4.mul(y, y));
}

/**
 * The gradient of `lstmCell`: [dy [rows, 2·units], gates, cell] → [dgates, dcell], [rows, units, rows in a part]. With dh
 * and dc the halves of dy, t = tanh(c) and e = dc + dh·o·(1 − t²):
 *
 *   dgates = [e·g·i·(1 − i) | e·cell·f·(1 − f) | e·i·(1 − g²) | dh·t·o·(1 − o)],   dcell = e·f.
 */
export function lstmCellGrad(args: usize, begin: i32, end: i32): void {
  const dy = <usize>load<u32>(args);
  const gates = <usize>load<u32>(args, 4);
  const cell = <usize>load<u32>(args, 8);
  const dgates = <usize>load<u32>(args, 12);
  const dcell = <usize>load<u32>(args, 16);
  const units = load<i32>(args, 24);
  const perPart = load<i32>(args, 28);
  const stop = min(end * perPart, load<i32>(args, 20));
  const line = <usize>units << 2;
  for (let row = begin * perPart; row < stop; row++) {
    let above = dy + <usize>row * (line << 1);
    let from = gates + <usize>row * (line << 2);
    let to = dgates + <usize>row * (line << 2);
    let at = <usize>row * line;
    for (let left = units; left > 0; left -= 4, above += 16, from += 16, to += 16, at += 16) {
      const input = logistic(loadFour(from, left));
      const forget = logistic(loadFour(from + line, left));
      const candidate = hyperbolicTangent(loadFour(from + 2 * line, left));
      const output = logistic(loadFour(from + 3 * line, left));
      const last = loadFour(cell + at, left);
      const next = f32x4.add(f32x4.mul(forget, last), f32x4.mul(input, candidate));
      const bounded = hyperbolicTangent(next);
      const dh = loadFour(above, left);
      const through = f32x4.mul(f32x4.mul(dh, output), slopeOfTangent(bounded));
      const e = f32x4.add(loadFour(above + line, left), through);
      storeFour(to, left, f32x4.mul(f32x4.mul(e, candidate), slope(input)));
      storeFour(to + line, left, f32x4.mul(f32x4.mul(e, last), slope(forget)));
      storeFour(to + 2 * line, left, f32x4.mul(f32x4.mul(e, input), slopeOfTangent(candidate)));
      storeFour(to + 3 * line, left, f32x4.mul(f32x4.mul(dh, bounded), slope(output)));
      storeFour(dcell + at, left, f32x4.mul(e, forget));
    }
  }
}
