import { lanesSum, lowerHalf, multiplyAdd, splat, sumOf, upperHalf } from './math';

// Layer normalization of rows of `count` elements, and batch normalization of columns. Numbers of a row, or of a column,
// are float32, made from sums in float64; the sums of columns are float32 over some rows, float64 over those.

/** Σ (x − center)² of a row. */
function squaresOf(at: usize, count: i32, center: f32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let i = 0;
  for (; i <= count - 4; i += 4, at += 16) {
    const d = f32x4.sub(v128.load(at), splat(center));
    const square = f32x4.mul(d, d);
    low = f64x2.add(low, lowerHalf(square));
    high = f64x2.add(high, upperHalf(square));
  }
  let total = lanesSum(f64x2.add(low, high));
  for (; i < count; i++, at += 4) {
    const d = load<f32>(at) - center;
    total += <f64>(d * d);
  }
  return total;
}

/** (x − μ) / √(σ² + ε) · scale + bias of each row: [x, scale, bias, out, rows, count, rows a part, ε]. */
export function layerNorm(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const scale = <usize>load<u32>(args, 4);
  const bias = <usize>load<u32>(args, 8);
  const out = <usize>load<u32>(args, 12);
  const count = load<i32>(args, 20);
  const rowsPerPart = load<i32>(args, 24);
  const epsilon = <f64>load<f32>(args, 28);
  const bytes = <usize>count << 2;
  const last = min(load<i32>(args, 16), end * rowsPerPart);
  for (let row = begin * rowsPerPart; row < last; row++) {
    const from = x + <usize>row * bytes;
    const to = out + <usize>row * bytes;
    const center = <f32>(sumOf(from, count) / <f64>count);
    const factor = <f32>(1.0 / sqrt<f64>(squaresOf(from, count, center) / <f64>count + epsilon));
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      const normal = f32x4.mul(f32x4.sub(v128.load(from + i), splat(center)), splat(factor));
      v128.store(to + i, multiplyAdd(normal, v128.load(scale + i), v128.load(bias + i)));
    }
    for (; i < bytes; i += 4) {
      const normal = (load<f32>(from + i) - center) * factor;
      store<f32>(to + i, normal * load<f32>(scale + i) + load<f32>(bias + i));
    }
  }
}

/**
 * With x̂ = (x − μ)·r and g = dy·scale: dx = r · (g − mean g − x̂ · mean(g·x̂)), and for each part of the rows
 * Σ dy·x̂ and Σ dy: [dy, x, scale, dx, dscale [parts, count], dbias [parts, count], rows, count, rows a part, ε].
 */
export function layerNormGrad(args: usize, begin: i32, end: i32): void {
  const dy = <usize>load<u32>(args);
  const x = <usize>load<u32>(args, 4);
  const scale = <usize>load<u32>(args, 8);
  const dx = <usize>load<u32>(args, 12);
  const rows = load<i32>(args, 24);
  const count = load<i32>(args, 28);
  const rowsPerPart = load<i32>(args, 32);
  const epsilon = <f64>load<f32>(args, 36);
  const bytes = <usize>count << 2;
  const size = <f64>count;
  for (let part = begin; part < end; part++) {
    const dscale = <usize>load<u32>(args, 16) + <usize>part * bytes;
    const dbias = <usize>load<u32>(args, 20) + <usize>part * bytes;
    memory.fill(dscale, 0, bytes);
    memory.fill(dbias, 0, bytes);
    const last = min(rows, (part + 1) * rowsPerPart);
    for (let row = part * rowsPerPart; row < last; row++) {
      const from = x + <usize>row * bytes;
      const above = dy + <usize>row * bytes;
      const to = dx + <usize>row * bytes;
      const center = <f32>(sumOf(from, count) / size);
      const factor = <f32>(1.0 / sqrt<f64>(squaresOf(from, count, center) / size + epsilon));
      let level = f64x2.splat(0);
      let tilt = f64x2.splat(0);
      let i: usize = 0;
      for (; i + 16 <= bytes; i += 16) {
        const d = v128.load(above + i);
        const normal = f32x4.mul(f32x4.sub(v128.load(from + i), splat(center)), splat(factor));
        v128.store(dscale + i, multiplyAdd(d, normal, v128.load(dscale + i)));
        v128.store(dbias + i, f32x4.add(d, v128.load(dbias + i)));
        const g = f32x4.mul(d, v128.load(scale + i));
        const product = f32x4.mul(g, normal);
        level = f64x2.add(f64x2.add(level, lowerHalf(g)), upperHalf(g));
        tilt = f64x2.add(f64x2.add(tilt, lowerHalf(product)), upperHalf(product));
      }
      let levelSum = lanesSum(level);
      let tiltSum = lanesSum(tilt);
      for (; i < bytes; i += 4) {
        const d = load<f32>(above + i);
        const normal = (load<f32>(from + i) - center) * factor;
        store<f32>(dscale + i, load<f32>(dscale + i) + d * normal);
        store<f32>(dbias + i, load<f32>(dbias + i) + d);
        const g = d * load<f32>(scale + i);
        levelSum += <f64>g;
        tiltSum += <f64>(g * normal);
      }
      const meanLevel = <f32>(levelSum / size);
      const meanTilt = <f32>(tiltSum / size);
      i = 0;
      for (; i + 16 <= bytes; i += 16) {
        const normal = f32x4.mul(f32x4.sub(v128.load(from + i), splat(center)), splat(factor));
        const g = f32x4.mul(v128.load(above + i), v128.load(scale + i));
        const rest = f32x4.sub(f32x4.sub(g, splat(meanLevel)), f32x4.mul(normal, splat(meanTilt)));
        v128.store(to + i, f32x4.mul(splat(factor), rest));
      }
      for (; i < bytes; i += 4) {
        const normal = (load<f32>(from + i) - center) * factor;
        const g = load<f32>(above + i) * load<f32>(scale + i);
        store<f32>(to + i, factor * (g - meanLevel - normal * meanTilt));
      }
    }
  }
}

/** scale / √(variance + ε) of each column; 1 in the place of a scale of 0: [variance, scale or 0, out, columns, ε]. One part. */
export function batchNormFactors(args: usize, begin: i32, end: i32): void {
  const variance = <usize>load<u32>(args);
  const scale = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const bytes = <usize>load<u32>(args, 12) << 2;
  const epsilon = <f64>load<f32>(args, 16);
  if (begin == end) return;
  for (let i: usize = 0; i < bytes; i += 4) {
    const factor = scale ? <f64>load<f32>(scale + i) : 1.0;
    store<f32>(out + i, <f32>(factor / sqrt<f64>(<f64>load<f32>(variance + i) + epsilon)));
  }
}

/** (x − mean) · factor + bias by columns: [x, mean, factor, bias or 0, out, rows, columns, rows a part]. */
export function batchNorm(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const center = <usize>load<u32>(args, 4);
  const factor = <usize>load<u32>(args, 8);
  const bias = <usize>load<u32>(args, 12);
  const out = <usize>load<u32>(args, 16);
  const bytes = <usize>load<u32>(args, 24) << 2;
  const rowsPerPart = load<i32>(args, 28);
  const last = min(load<i32>(args, 20), end * rowsPerPart);
  for (let row = begin * rowsPerPart; row < last; row++) {
    const from = x + <usize>row * bytes;
    const to = out + <usize>row * bytes;
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      const added = bias ? v128.load(bias + i) : splat(0);
      const difference = f32x4.sub(v128.load(from + i), v128.load(center + i));
      v128.store(to + i, multiplyAdd(difference, v128.load(factor + i), added));
    }
    for (; i < bytes; i += 4) {
      const added: f32 = bias ? load<f32>(bias + i) : 0;
      store<f32>(to + i, (load<f32>(from + i) - load<f32>(center + i)) * load<f32>(factor + i) + added);
    }
  }
}

/** Rows that are added up in float32. */
const BLOCK = 32;

/**
 * For each part of the rows, Σ dy·x̂ and Σ dy of each column, with x̂ = (x − mean) · factor:
 * [dy, x, mean, factor, dscale [parts, columns], dbias [parts, columns], rows, columns, rows a part].
 */
export function batchNormSums(args: usize, begin: i32, end: i32): void {
  const center = <usize>load<u32>(args, 8);
  const factor = <usize>load<u32>(args, 12);
  const rows = load<i32>(args, 24);
  const bytes = <usize>load<u32>(args, 28) << 2;
  const rowsPerPart = load<i32>(args, 32);
  for (let part = begin; part < end; part++) {
    const first = part * rowsPerPart;
    const height = min(rows - first, rowsPerPart);
    const dy = <usize>load<u32>(args) + <usize>first * bytes;
    const x = <usize>load<u32>(args, 4) + <usize>first * bytes;
    const dscale = <usize>load<u32>(args, 16) + <usize>part * bytes;
    const dbias = <usize>load<u32>(args, 20) + <usize>part * bytes;
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      const c = v128.load(center + i);
      const f = v128.load(factor + i);
      let levelLow = f64x2.splat(0);
      let levelHigh = f64x2.splat(0);
      let tiltLow = f64x2.splat(0);
      let tiltHigh = f64x2.splat(0);
      let at = i;
      for (let row = 0; row < height; row += BLOCK) {
        let level = splat(0);
        let tilt = splat(0);
        for (let k = min(BLOCK, height - row); k > 0; k--, at += bytes) {
          const d = v128.load(dy + at);
          level = f32x4.add(level, d);
          tilt = multiplyAdd(d, f32x4.mul(f32x4.sub(v128.load(x + at), c), f), tilt);
        }
        levelLow = f64x2.add(levelLow, lowerHalf(level));
        levelHigh = f64x2.add(levelHigh, upperHalf(level));
        tiltLow = f64x2.add(tiltLow, lowerHalf(tilt));
        tiltHigh = f64x2.add(tiltHigh, upperHalf(tilt));
      }
      v128.store64_lane(dbias + i, f32x4.demote_f64x2_zero(levelLow), 0);
      v128.store64_lane(dbias + i, f32x4.demote_f64x2_zero(levelHigh), 0, 8);
      v128.store64_lane(dscale + i, f32x4.demote_f64x2_zero(tiltLow), 0);
      v128.store64_lane(dscale + i, f32x4.demote_f64x2_zero(tiltHigh), 0, 8);
    }
    for (; i < bytes; i += 4) {
      const c = load<f32>(center + i);
      const f = load<f32>(factor + i);
      let levelSum: f64 = 0;
      let tiltSum: f64 = 0;
      let at = i;
      for (let row = 0; row < height; row += BLOCK) {
        let level: f32 = 0;
        let tilt: f32 = 0;
        for (let k = min(BLOCK, height - row); k > 0; k--, at += bytes) {
          const d = load<f32>(dy + at);
          level += d;
          tilt += d * ((load<f32>(x + at) - c) * f);
        }
        levelSum += <f64>level;
        tiltSum += <f64>tilt;
      }
      store<f32>(dbias + i, <f32>levelSum);
      store<f32>(dscale + i, <f32>tiltSum);
    }
  }
}

/**
 * scale · r · (dy − Σ dy / rows − x̂ · Σ dy·x̂ / rows) with x̂ = (x − mean)·r:
 * [dy, x, mean, r, scale, dscale, dbias, dx, rows, columns, rows a part].
 */
export function batchNormGrad(args: usize, begin: i32, end: i32): void {
  const dy = <usize>load<u32>(args);
  const x = <usize>load<u32>(args, 4);
  const center = <usize>load<u32>(args, 8);
  const factor = <usize>load<u32>(args, 12);
  const scale = <usize>load<u32>(args, 16);
  const dscale = <usize>load<u32>(args, 20);
  const dbias = <usize>load<u32>(args, 24);
  const dx = <usize>load<u32>(args, 28);
  const rows = load<i32>(args, 32);
  const columns = load<i32>(args, 36);
  const rowsPerPart = load<i32>(args, 40);
  const bytes = <usize>columns << 2;
  const share = splat(<f32>(1.0 / <f64>rows));
  for (let part = begin; part < end; part++) {
    const first = part * rowsPerPart;
    const height = min(rows - first, rowsPerPart);
    // Columns outside, so that what belongs to a column is made once.
    let column = 0;
    for (; column <= columns - 4; column += 4) {
      const i = <usize>column << 2;
      const c = v128.load(center + i);
      const f = v128.load(factor + i);
      const slope = f32x4.mul(f, v128.load(scale + i));
      const level = f32x4.mul(v128.load(dbias + i), share);
      const tilt = f32x4.mul(f32x4.mul(v128.load(dscale + i), share), f);
      let at = <usize>first * bytes + i;
      for (let row = 0; row < height; row++, at += bytes) {
        const bend = f32x4.mul(f32x4.sub(v128.load(x + at), c), tilt);
        const rest = f32x4.sub(f32x4.sub(v128.load(dy + at), level), bend);
        v128.store(dx + at, f32x4.mul(slope, rest));
      }
    }
    for (; column < columns; column++) {
      const i = <usize>column << 2;
      const c = v128.load32_splat(center + i);
      const f = v128.load32_splat(factor + i);
      const slope = f32x4.mul(f, v128.load32_splat(scale + i));
      const level = f32x4.mul(v128.load32_splat(dbias + i), share);
      const tilt = f32x4.mul(f32x4.mul(v128.load32_splat(dscale + i), share), f);
      let at = <usize>first * bytes + i;
      for (let row = 0; row < height; row++, at += bytes) {
        const bend = f32x4.mul(f32x4.sub(v128.load32_splat(x + at), c), tilt);
        const rest = f32x4.sub(f32x4.sub(v128.load32_splat(dy + at), level), bend);
        store<f32>(dx + at, f32x4.extract_lane(f32x4.mul(slope, rest), 0));
      }
    }
  }
}
