/**
 * Times kernels of the module by themselves, on one thread: elements per nanosecond, and the bytes that they read and
 * write per nanosecond (GB/s), for tensors that fit into a cache and for such that don't. The median of the rounds, in the
 * process's CPU time: it says more than the clock where other work runs.
 *
 *     node packages/backend-wasm/scripts/measure-kernels.mjs [NAME …]
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const ROUNDS = 9;
const source = readFileSync(resolve(import.meta.dirname, '../src/module/kernels.ts'), 'utf8');
const base64 = /kernelsBase64 = \[([^\]]*)\]/.exec(source)[1].replace(/[^A-Za-z0-9+/=]/g, '');
const memory = new WebAssembly.Memory({ initial: 4096, maximum: 65536, shared: true });
const table = new WebAssembly.Table({ initial: 256, element: 'anyfunc' });
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(base64, 'base64')), {
  env: { memory, table },
});

let top = 1 << 20;
function block(words, fill = 'normal') {
  const view = new Float32Array(memory.buffer, top, words);
  if (fill === 'normal') for (let i = 0; i < words; i++) view[i] = Math.sin(i * 12.9898) * 1.7;
  else view.fill(fill);
  const pointer = top;
  top += Math.ceil(words / 16) * 64;
  return pointer;
}

const number = (value) => new Int32Array(Float32Array.of(value).buffer)[0];
const LIGHT = 2 ** 15;
const HEAVY = 2 ** 13;

/** What a call is made of, for about `n` elements: the words, the parts, and the elements and streams that it moves. */
const calls = {
  relu: (n) => unary(n, LIGHT),
  exp: (n) => unary(n, HEAVY),
  log: (n) => unary(n, HEAVY, 1.7),
  sigmoid: (n) => unary(n, HEAVY),
  tanh: (n) => unary(n, HEAVY),
  erf: (n) => unary(n, HEAVY),
  gelu: (n) => unary(n, HEAVY),
  geluTanh: (n) => unary(n, HEAVY),
  isFinite: (n) => ({ ...unary(n, LIGHT), streams: 1.25 }),
  reluGrad: (n) => same(n, LIGHT),
  geluGrad: (n) => same(n, HEAVY),
  add: (n) => ({ ...same(n, LIGHT), words: [block(n), block(n), block(n), 0, n, LIGHT] }),
  'add, a row to each row of 256': (n) => rows(n, 256, [0, 1]),
  'add, a row to each row of 10': (n) => rows(n - (n % 10), 10, [0, 1]),
  'divide, by a column': (n) => rows(n, 256, [1, 0]),
  greater: (n) => ({ ...same(n, LIGHT), words: [block(n), block(n), block(n), 0, n, LIGHT], streams: 2.25 }),
  'sum, of rows of 256': (n) => reduction(n / 256, 256, 1, n),
  'sum, of columns of 64': (n) => reduction(1, n / 64, 64, n),
  'sum, of all': (n) => reduction(1, n, 1, n),
  'largest, of rows of 256': (n) => reduction(n / 256, 256, 1, n),
  'softmax, of rows of 10': (n) => lines(n - (n % 10), 10, 1, HEAVY),
  'softmax, of rows of 256': (n) => lines(n, 256, 1, HEAVY),
  'softmaxCrossEntropy, of rows of 1000': (n) => lines(n - (n % 1000), 1000, 2, HEAVY),
  layerNorm: (n) => {
    const perPart = LIGHT / 2 / 256;
    const words = [block(n), block(256), block(256), block(n), n / 256, 256, perPart, number(1e-5)];
    return { words, parts: n / 256 / perPart, elements: n, streams: 2 };
  },
  layerNormGrad: (n) => {
    const perPart = LIGHT / 2 / 256;
    const parts = n / 256 / perPart;
    const outputs = [block(n), block(parts * 256), block(parts * 256)];
    const words = [block(n), block(n), block(256), ...outputs, n / 256, 256, perPart, number(1e-5)];
    return { words, parts, elements: n, streams: 3 };
  },
  batchNorm: (n) => {
    const perPart = LIGHT / 2 / 64;
    const words = [block(n), block(64), block(64), block(64), block(n), n / 64, 64, perPart];
    return { words, parts: n / 64 / perPart, elements: n, streams: 2 };
  },
  batchNormSums: (n) => {
    const perPart = LIGHT / 2 / 64;
    const parts = n / 64 / perPart;
    const outputs = [block(parts * 64), block(parts * 64)];
    return {
      words: [block(n), block(n), block(64), block(64), ...outputs, n / 64, 64, perPart],
      parts,
      elements: n,
      streams: 2,
    };
  },
  batchNormGrad: (n) => {
    const perPart = LIGHT / 2 / 64;
    const columns = [64, 64, 64, 64, 64].map((c) => block(c));
    return {
      words: [block(n), block(n), ...columns, block(n), n / 64, 64, perPart],
      parts: n / 64 / perPart,
      elements: n,
      streams: 3,
    };
  },
  adamMoments: (n) => {
    const [u, m, v] = [block(n), block(n), block(n, 0.5)];
    const words = [block(1, 0.3), block(1, 1e-8), u, m, v, 0, block(n), block(n), block(n)];
    const chunk = 2 ** 14;
    words.push(number(0.1), number(0.001), number(0), chunk, n);
    return { words, parts: Math.ceil(n / chunk), elements: n, streams: 6 };
  },
  finiteParts: (n) => ({
    words: [block(n), 0, block(n / LIGHT + 1), LIGHT, n],
    parts: Math.ceil(n / LIGHT),
    elements: n,
    streams: 1,
  }),
};

function unary(n, chunk, fill) {
  return {
    words: [block(n, fill), block(n), n, chunk],
    parts: Math.ceil(n / chunk),
    elements: n,
    streams: 2,
  };
}

function same(n, chunk) {
  const words = [block(n), block(n), block(n), n, chunk];
  return { words, parts: Math.ceil(n / chunk), elements: n, streams: 3 };
}

function rows(n, inner, [aStride, bStep]) {
  const count = n / inner;
  const perPart = Math.max(1, Math.floor(LIGHT / inner));
  const other = bStep === 1 ? [0, inner] : [1, count];
  const words = [
    block(n),
    block(other[1] || inner),
    block(n),
    3,
    inner,
    count,
    perPart,
    1,
    bStep,
    1,
    count,
    inner,
  ];
  words.push(aStride);
  return { words, parts: Math.ceil(count / perPart), elements: n, streams: 2 };
}

function reduction(outer, count, inner, n) {
  const columns = Math.min(inner, 512);
  const many = outer >= 8 || count * columns <= LIGHT;
  const chunk = many ? count : Math.ceil(LIGHT / columns);
  const chunks = Math.ceil(count / chunk);
  const perPart = Math.max(1, Math.floor(LIGHT / (chunk * columns)));
  const words = [
    block(n),
    block(2 * outer * chunks * inner),
    outer,
    count,
    inner,
    chunk,
    chunks,
    columns,
    perPart,
    1,
  ];
  return { words, parts: Math.ceil((outer * chunks) / perPart), elements: n, streams: 1 };
}

function lines(n, count, inputs, cost) {
  const perPart = Math.max(1, Math.floor(cost / count));
  const read = Array.from({ length: inputs }, () => block(n));
  const words = [...read, block(n), n / count, count, perPart];
  return { words, parts: Math.ceil(n / count / perPart), elements: n, streams: 2 };
}

const args = block(4096, 0);
const sizes = { cached: 2 ** 16, memory: 2 ** 22 };
const wanted = process.argv.slice(2);
const bottom = top;
console.log(
  `| kernel | elements/ns, ${sizes.cached} elements | GB/s | elements/ns, ${sizes.memory} elements | GB/s |`,
);
console.log('|---|---|---|---|---|');
for (const [name, make] of Object.entries(calls)) {
  if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
  const cells = [name];
  for (const n of Object.values(sizes)) {
    top = bottom;
    const { words, parts, elements, streams } = make(n);
    new Int32Array(memory.buffer, args, words.length).set(words);
    const run = exports[name.split(',')[0]];
    const repeats = Math.max(1, Math.ceil(2 ** 22 / n));
    const times = [];
    for (let round = 0; round < ROUNDS + 3; round++) {
      const start = process.cpuUsage();
      for (let i = 0; i < repeats; i++) run(args, 0, parts);
      times.push((process.cpuUsage(start).user * 1000) / repeats);
    }
    const median = times.slice(3).sort((a, b) => a - b)[Math.floor(ROUNDS / 2)];
    cells.push((elements / median).toFixed(2), ((elements * streams * 4) / median).toFixed(1));
  }
  console.log(`| ${cells.join(' | ')} |`);
}
