/** Ops in float64, in loops: what the ops of core are held against. */
import { add, mean, mul, rsqrt, square, sub, type Tensor } from '@tensorflow/tfjs-core';

export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** The error function, by its series: exact to rounding for |x| up to about 4. */
function erf(x: number): number {
  let term = x;
  let total = x;
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

export function gelu(x: number): number {
  return (x / 2) * (1 + erf(x / Math.SQRT2));
}

export function geluApproximate(x: number): number {
  return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function softmax(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const powers = row.map((x) => Math.exp(x - top));
  return powers.map((power) => power / sum(powers));
}

export function softmaxCrossEntropy(logits: Float64Array, target: Float64Array, classes: number): number[] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    const p = softmax([...logits.subarray(row * classes, (row + 1) * classes)]);
    return -sum(p.map((value, i) => target[row * classes + i] * Math.log(value)));
  });
}

function normalized(values: readonly number[], epsilon: number): number[] {
  const center = sum(values) / values.length;
  const variance = sum(values.map((x) => (x - center) ** 2)) / values.length;
  return values.map((x) => (x - center) / Math.sqrt(variance + epsilon));
}

export function layerNorm(
  x: Float64Array,
  scale: Float64Array,
  bias: Float64Array,
  epsilon: number,
): number[] {
  const features = scale.length;
  return Array.from({ length: x.length / features }, (_, row) =>
    normalized([...x.subarray(row * features, (row + 1) * features)], epsilon).map(
      (value, i) => value * scale[i] + bias[i],
    ),
  ).flat();
}

export function batchNorm(
  x: Float64Array,
  scale: Float64Array,
  bias: Float64Array,
  epsilon: number,
): number[] {
  const channels = scale.length;
  const result = new Array<number>(x.length);
  for (let c = 0; c < channels; c++) {
    const column = [...x].filter((_, i) => i % channels === c);
    for (const [row, value] of normalized(column, epsilon).entries())
      result[row * channels + c] = value * scale[c] + bias[c];
  }
  return result;
}

/** Batch normalization in plain tfjs ops, whose tape goes through the statistics. */
export function plainBatchNorm(x: Tensor, scale: Tensor, bias: Tensor, epsilon: number): Tensor {
  const centered = sub(x, mean(x, 0, true));
  return add(mul(mul(centered, rsqrt(add(mean(square(centered), 0, true), epsilon))), scale), bias);
}

export function attention(
  query: Float64Array,
  key: Float64Array,
  value: Float64Array,
  options: { time: number; size: number; causal: boolean; scale: number },
): number[] {
  const { time, size, causal, scale } = options;
  const positions = Array.from({ length: query.length / size }, (_, i) => i);
  return positions.flatMap((i) => {
    const start = Math.floor(i / time) * time;
    const seen = positions.slice(start, causal ? i + 1 : start + time);
    const score = (j: number): number =>
      scale * sum(Array.from({ length: size }, (_, d) => query[i * size + d] * key[j * size + d]));
    const weights = softmax(seen.map(score));
    return Array.from({ length: size }, (_, d) => sum(seen.map((j, k) => weights[k] * value[j * size + d])));
  });
}

export function lstmCell(gates: Float64Array, cell: Float64Array, units: number): number[] {
  return Array.from({ length: cell.length / units }, (_, row) => {
    const at = (gate: number, u: number): number => gates[(row * 4 + gate) * units + u];
    const next = Array.from(
      { length: units },
      (_, u) => sigmoid(at(1, u)) * cell[row * units + u] + sigmoid(at(0, u)) * Math.tanh(at(2, u)),
    );
    return [...next.map((c, u) => sigmoid(at(3, u)) * Math.tanh(c)), ...next];
  }).flat();
}
