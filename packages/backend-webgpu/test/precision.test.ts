import { describe, expect, test } from 'vitest';
import type { Graph, Node } from '../src/graph.js';
import type { Program } from '../src/program.js';
import { fuse, type Step } from '../src/recorder/fuse.js';
import { inMixedPrecision } from '../src/recorder/precision.js';
import type { Buffer, Command } from '../src/recorder/trace.js';

const base: Program = {
  key: 'program',
  outputs: ['f32'],
  inputs: ['f32', 'f32'],
  uniforms: [],
  workgroup: [64, 1, 1],
  body: '',
};
const rounded: Program = { ...base, key: 'product of float16' };
const PRODUCT: Program = { ...base, key: 'product', float16: 'makes', withFactorsInFloat16: () => rounded };
const MOVE: Program = { ...base, key: 'move', inputs: ['f32'], float16: 'passes' };
const JOIN: Program = { ...base, key: 'join', float16: 'joins' };
const SUM: Program = { ...base, key: 'sum', inputs: ['f32'] };
const RANDOM: Program = { ...base, key: 'random', inputs: ['i32'] };

/** A recording of tensors of 16 numbers unless they say otherwise, and what becomes of it. */
class Recorded {
  readonly buffers: Buffer[] = [];
  readonly commands: Command[] = [];

  argument(count = 16, dtype: Buffer['dtype'] = 'float32'): number {
    return this.buffers.push({ kind: 'argument', bytes: 4 * count, dtype }) - 1;
  }

  constant(count = 16): number {
    const values = new Uint8Array(4 * count);
    return this.buffers.push({ kind: 'constant', bytes: 4 * count, dtype: 'float32', values }) - 1;
  }

  launch(program: Program, inputs: readonly number[], count = 16): number {
    const output = this.#value(count);
    this.commands.push({ kind: 'launch', program, inputs, outputs: [output], words: [], groups: [1, 1, 1] });
    return output;
  }

  tfjs(inputs: readonly number[]): number {
    const output = this.#value(16);
    const pipeline = {} as GPUComputePipeline;
    const uniforms = new Uint8Array();
    this.commands.push({
      kind: 'tfjs',
      pipeline,
      key: 'k',
      inputs,
      outputs: [output],
      uniforms,
      groups: [1, 1, 1],
    });
    return output;
  }

  map(operands: readonly number[], node: Partial<Node> = {}, count = 16): number {
    const output = this.#value(count, node.element === 'i32' ? 'bool' : 'float32');
    const code = operands.map((_, k) => `$${k}`).join(' + ');
    const args = operands.map((_, k) => -1 - k);
    const graph: Graph<number> = {
      count,
      operands: operands.map((buffer) => ({
        buffer,
        element: this.buffers[buffer].dtype === 'float32' ? 'f32' : 'i32',
        access: this.buffers[buffer].bytes === 4 * count ? 'same' : { dims: [], strides: [], offset: 0 },
      })),
      nodes: [{ code, element: 'f32', args, ...node }],
      outputs: [{ node: 0, buffer: output }],
    };
    this.commands.push({ kind: 'map', graph, inputs: [...operands], outputs: [output] });
    return output;
  }

  /** The buffers that are kept in float16, with these outputs of the whole; each command stays a step of its own. */
  narrow(outputs: readonly number[] = []): number[] {
    return this.result(outputs).narrow;
  }

  result(outputs: readonly number[] = [], fused = false): { narrow: number[]; steps: readonly Step[] } {
    const facts = { buffers: this.buffers, bindings: 8 };
    const steps = fused
      ? fuse(this.commands, outputs, facts)
      : this.commands.flatMap((command) => fuse([command], command.outputs, facts));
    const kept = inMixedPrecision(steps, this.buffers, outputs);
    const narrow = kept.buffers.flatMap(({ bytes }, k) => (bytes < this.buffers[k].bytes ? [k] : []));
    for (const k of narrow) expect(kept.buffers[k].bytes).toBe(this.buffers[k].bytes / 2);
    return { narrow, steps: kept.steps };
  }

  #value(count: number, dtype: Buffer['dtype'] = 'float32'): number {
    return this.buffers.push({ kind: 'value', bytes: 4 * count, dtype }) - 1;
  }
}

describe('in float16 is kept', () => {
  test('what a product makes, and what is made of it alone', () => {
    const r = new Recorded();
    const product = r.launch(PRODUCT, [r.argument(), r.argument()]);
    const activated = r.map([product]);
    const moved = r.launch(MOVE, [activated]);
    expect(r.narrow()).toEqual([product, activated, moved]);
  });

  test('what is made of it with a bias, a statistic, a mask or a constant', () => {
    const r = new Recorded();
    const product = r.launch(PRODUCT, [r.argument(), r.argument()]);
    const biased = r.map([product, r.argument(4)]);
    const centered = r.map([biased, r.launch(SUM, [biased], 4)]);
    const random = r.launch(RANDOM, [r.argument(2, 'int32')]);
    const mask = r.map([random], { element: 'i32' });
    const dropped = r.map([centered, mask, random, r.constant()]);
    expect(r.narrow()).toEqual([product, biased, centered, dropped]);
  });
});

describe('in float32 stays', () => {
  const narrowProduct = (r: Recorded): number => r.launch(PRODUCT, [r.argument(), r.argument()]);

  test('an output, though what comes of it is kept in float16', () => {
    const r = new Recorded();
    const product = narrowProduct(r);
    const after = r.map([product]);
    expect(r.narrow([product])).toEqual([after]);
  });

  test('an argument, and what is made of arguments', () => {
    const r = new Recorded();
    r.map([r.argument(), r.argument()]);
    r.launch(MOVE, [r.argument()]);
    expect(r.narrow()).toEqual([]);
  });

  test('what is made with an argument of as many numbers, and what comes of that', () => {
    const r = new Recorded();
    const product = narrowProduct(r);
    r.map([r.map([product, r.argument()])]);
    expect(r.narrow()).toEqual([product]);
  });

  test('what is made with a number of the host', () => {
    const r = new Recorded();
    const product = narrowProduct(r);
    r.map([product], { code: '$0 * hostFloat(3u)' });
    expect(r.narrow()).toEqual([product]);
  });

  test('a sum, and what leaves the range', () => {
    const r = new Recorded();
    const product = narrowProduct(r);
    r.launch(SUM, [product]);
    r.map([product], { wide: true });
    expect(r.narrow()).toEqual([product]);
  });

  test('what is joined of float16 and float32, but not what is passed on of the first', () => {
    const r = new Recorded();
    const product = narrowProduct(r);
    r.launch(JOIN, [product, r.argument()]);
    r.launch(JOIN, [r.argument(), product]);
    r.launch({ ...MOVE, inputs: ['f32', 'f32'] }, [r.argument(), product]);
    const passed = r.launch({ ...MOVE, inputs: ['f32', 'f32'] }, [product, r.argument()]);
    const together = r.launch(JOIN, [product, passed]);
    expect(r.narrow()).toEqual([product, passed, together]);
  });

  test('what tfjs’s kernels read and make', () => {
    const r = new Recorded();
    const product = narrowProduct(r);
    const after = r.map([r.tfjs([product]), product]);
    expect(r.narrow()).toEqual([]);
    const only = r.map([product]);
    expect(r.narrow()).toEqual([only]);
    expect(after).toBeLessThan(only);
  });

  test('what is read or written as something else than numbers', () => {
    const r = new Recorded();
    const product = narrowProduct(r);
    r.launch({ ...SUM, inputs: ['i32'] }, [product]);
    expect(r.narrow()).toEqual([]);
  });
});

test('products take factors in float16, whatever these are kept in', () => {
  const r = new Recorded();
  const product = r.launch(PRODUCT, [r.argument(), r.argument()]);
  const second = r.launch(PRODUCT, [product, r.argument()]);
  const { steps } = r.result([second]);
  const programs = steps.map((step) => (step.kind === 'ours' ? step.launch?.program : undefined));
  expect(programs.map((program) => program?.key)).toEqual([
    'product of float16 float16 >0',
    'product of float16 float16 0>',
  ]);
  expect(programs[0]?.outputs).toEqual(['f16']);
  expect(programs[1]?.inputs).toEqual(['f16', 'f32']);
});

test('joined work converts where it reads and writes', () => {
  const r = new Recorded();
  const stored: Program = {
    ...PRODUCT,
    stores: true,
    withFactorsInFloat16: () => ({ ...rounded, stores: true }),
  };
  const first = r.launch(stored, [r.argument(), r.argument()]);
  const second = r.launch(stored, [r.argument(), first]);
  const sum = r.map([second, first]);
  const sink = r.launch({ ...SUM, loads: [0] }, [sum]);
  const other = r.launch(PRODUCT, [sum, sum]);
  const { narrow, steps } = r.result([sink, other], true);
  expect(narrow).toEqual([first, sum]);
  const [, joined] = steps;
  expect(joined).toMatchObject({
    tail: { operands: [{ buffer: first, element: 'f16' }], outputs: [{ buffer: sum, element: 'f16' }] },
  });
});
