/**
 * `npm run bench:digits [-- ROUNDS]` in tests/: milliseconds for a training step of the digits CNN (batch 32, Adam)
 * on tfjs's cpu backend and on ours, in interleaved rounds. Wall time, and this process's CPU time beside it, which
 * other processes disturb less.
 */
import { wasm } from '@tenon-ml/backend-wasm';
import { type Backend, compile, release, scalar } from '@tenon-ml/core';
import { cpu } from '@tenon-ml/testkit';
import { adamCorrection, initialState, randomBatch, trainStep } from '../backends/digits_network.js';

interface Peer {
  readonly name: string;
  readonly backend: Backend;
  /** Steps in a round. */
  readonly steps: number;
}

const rounds = Number(process.argv[2] ?? 5);
const peers: readonly Peer[] = [
  { name: 'tfjs cpu', backend: cpu(), steps: 2 },
  { name: 'tenon wasm', backend: wasm(), steps: 60 },
];
const { images, labels } = randomBatch(1, 32);

const runners = await Promise.all(
  peers.map(async ({ name, backend, steps }) => {
    await backend.init();
    const step = compile(trainStep, { backend, donate: [0] });
    let state: Parameters<typeof step>[0] = initialState(1);
    let count = 0;
    const one = (): { wall: number; cpu: number } => {
      count++;
      const cpuBefore = process.cpuUsage();
      const before = performance.now();
      const { state: next, loss } = step(state, images, labels, scalar(adamCorrection(count)));
      const wall = performance.now() - before;
      const { user, system } = process.cpuUsage(cpuBefore);
      state = next;
      release(loss);
      return { wall, cpu: (user + system) / 1000 };
    };
    return { name, steps, one, wall: [] as number[], cpu: [] as number[] };
  }),
);

for (const { one, steps } of runners) for (let i = 0; i < Math.ceil(steps / 2); i++) one();
for (let round = 0; round < rounds; round++) {
  for (const runner of runners) {
    const times = Array.from({ length: runner.steps }, runner.one);
    runner.wall.push(median(times.map(({ wall }) => wall)));
    runner.cpu.push(median(times.map(({ cpu }) => cpu)));
  }
}
console.log(`ms a step: the median of ${rounds} rounds' medians (smallest to largest)`);
for (const { name, wall, cpu } of runners)
  console.log(`${name.padEnd(12)} wall ${show(wall)}, CPU ${show(cpu)}`);

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function show(values: readonly number[]): string {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)];
  return `${middle.toFixed(1)} (${least.toFixed(1)} to ${most.toFixed(1)})`;
}
