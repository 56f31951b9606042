/**
 * `node tests/bench/run.mjs tests/bench/sequence_kernels.ts`: times kernels that move elements and those of sequences,
 * through the engine, on one thread. The median of alternating rounds, in the process's CPU time; GB/s are the bytes that
 * are read and written.
 */
import { wasm } from '@tenon-ml/backend-wasm';
import {
  attentionDefinition,
  attentionGradDefinition,
  createKey,
  lstmCellDefinition,
  lstmCellGradDefinition,
  withBackend,
} from '@tenon-ml/core';
import { engine, type NamedAttrMap, type NamedTensorMap, type Tensor, tidy } from '@tensorflow/tfjs-core';

const ROUNDS = 15;
const backend = wasm();
await backend.init();

function tensor(shape: readonly number[], seed = 1): Tensor {
  return engine().makeTensor(createKey(seed).normal(shape).data, [...shape], 'float32');
}

function integers(length: number, below: number): Tensor {
  const values = Int32Array.from({ length }, (_, i) => (i * 7919) % below);
  return engine().makeTensor(values, [length], 'int32');
}

/** Milliseconds of each, taken in turns. */
function timesOf(runs: readonly (() => unknown)[], repeats: number): number[] {
  const times: number[][] = runs.map(() => []);
  for (let round = 0; round < ROUNDS + 3; round++) {
    for (const [i, run] of runs.entries()) {
      const start = process.cpuUsage();
      for (let repeat = 0; repeat < repeats; repeat++) tidy(() => void run());
      const { user, system } = process.cpuUsage(start);
      if (round >= 3) times[i].push((user + system) / 1000 / repeats);
    }
  }
  return times.map((list) => list.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)]);
}

const kernel =
  (name: string, inputs: unknown, attrs: object = {}) =>
  () =>
    engine().runKernel(name, inputs as NamedTensorMap, attrs as NamedAttrMap);

withBackend(backend, () => {
  const x = tensor([1024, 1024]);
  const heads = tensor([32, 128, 4, 64]);
  const table = tensor([8192, 128]);
  const indices = integers(8192, 8192);
  const image = tensor([32, 32, 32, 32]);
  const key = engine().makeTensor(Int32Array.of(1, 2), [2], 'int32');
  const rows: [name: string, bytes: number, run: () => unknown][] = [
    ['Transpose [1024, 1024]', 2 * x.size, kernel('Transpose', { x }, { perm: [1, 0] })],
    [
      'Transpose [32, 128, 4, 64] to heads',
      2 * heads.size,
      kernel('Transpose', { x: heads }, { perm: [0, 2, 1, 3] }),
    ],
    [
      'Transpose [32, 32, 32, 32] to NCHW',
      2 * image.size,
      kernel('Transpose', { x: image }, { perm: [0, 3, 1, 2] }),
    ],
    [
      'Slice, half of each row of 1024',
      x.size,
      kernel('Slice', { x }, { begin: [0, 512], size: [1024, 512] }),
    ],
    ['Concat, rows of 1024 and 1024', 4 * x.size, kernel('Concat', [x, x], { axis: 1 })],
    [
      'PadV2, images by 1',
      2 * image.size,
      kernel(
        'PadV2',
        { x: image },
        {
          paddings: [
            [0, 0],
            [1, 1],
            [1, 1],
            [0, 0],
          ],
          constantValue: 0,
        },
      ),
    ],
    ['Tile, a row of 1024 × 1024', x.size, kernel('Tile', { x: tensor([1, 1024]) }, { reps: [1024, 1] })],
    [
      'GatherV2, 8192 rows of 128',
      2 * table.size,
      kernel('GatherV2', { x: table, indices }, { axis: 0, batchDims: 0 }),
    ],
    [
      'UnsortedSegmentSum, the same',
      3 * table.size,
      kernel('UnsortedSegmentSum', { x: table, segmentIds: indices }, { numSegments: 8192 }),
    ],
    ['PhiloxUniform, 2²⁰', 2 ** 20, kernel('PhiloxUniform', { key }, { site: 1, shape: [2 ** 20] })],
  ];
  console.log('| kernel | ms | GB/s |\n|---|---|---|');
  for (const [name, words, run] of rows) {
    const [time] = timesOf([run], 10);
    console.log(`| ${name} | ${time.toFixed(2)} | ${((4 * words) / time / 1e6).toFixed(1)} |`);
  }

  console.log('\n| kernel | ms | as ops, ms |\n|---|---|---|');
  const cell = { gates: tensor([32, 1024]), cell: tensor([32, 256], 2) };
  const dcell = { dy: tensor([32, 512], 3), ...cell };
  const compare = (name: string, ours: () => unknown, ops: () => unknown, repeats: number) => {
    const [one, other] = timesOf([ours, ops], repeats);
    console.log(`| ${name} | ${one.toFixed(3)} | ${other.toFixed(3)} |`);
  };
  compare(
    'LSTMCell [32, 256]',
    kernel('LSTMCell', cell),
    () => lstmCellDefinition.reference?.(cell, {}),
    100,
  );
  compare(
    'LSTMCellGrad',
    kernel('LSTMCellGrad', dcell),
    () => lstmCellGradDefinition.reference(dcell, {}),
    50,
  );
  const shape = [16, 4, 128, 32];
  const inputs = { query: tensor(shape), key: tensor(shape, 2), value: tensor(shape, 3) };
  const all = { dy: tensor(shape, 4), ...inputs };
  for (const causal of [false, true]) {
    const attrs = { causal, scale: 32 ** -0.5 };
    const name = causal ? ', causal' : '';
    compare(
      `Attention [${shape}]${name}`,
      kernel('Attention', inputs, attrs),
      () => attentionDefinition.reference?.(inputs, attrs),
      5,
    );
    compare(
      `AttentionGrad${name}`,
      kernel('AttentionGrad', all, attrs),
      () => attentionGradDefinition.reference(all, attrs),
      5,
    );
  }
});
await backend.dispose();
