import { webgpu } from '@tenon-ml/backend-webgpu';
import {
  allFinite,
  choose,
  compile,
  fromNested,
  type NdArray,
  read,
  release,
  type Tree,
  upload,
} from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { started } from '../../hosts/tested_backend.js';
import { expectAgreement } from '../kernels/reference.js';
import { innerOf, key } from './training_step.js';

const [recording, eager] = started(webgpu(), webgpu({ record: false }));

/** Another hold on a tensor's values. */
const share = compile((x: tf.Tensor) => x, { backend: recording });

const [rows, columns] = [6, 10];
type Matrices = readonly tf.Tensor[];

/** What a new matrix may be made of two. */
const operations: readonly ((a: tf.Tensor, b: tf.Tensor) => tf.Tensor)[] = [
  (a, b) => tf.add(a, b),
  (a, b) => tf.mul(a, b),
  (a) => tf.mul(a, 0.5),
  (a) => tf.reshape(tf.transpose(a), [rows, columns]),
  (a, b) => tf.sub(a, tf.mean(b)),
  (a, b) => tf.add(a, tf.mean(b, 0, true)),
  (a, b) => tf.matMul(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true), b as tf.Tensor2D),
];

test('any program over what it was given, whichever outputs take the place of which arguments', {
  timeout: 300_000,
}, async () => {
  const instruction = fc.record({
    operation: fc.nat({ max: operations.length - 1 }),
    a: fc.nat(),
    b: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(instruction, { minLength: 3, maxLength: 14 }),
      fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
      async (instructions, returned) => {
        const program = (given: Matrices): Matrices => {
          const values = [...given];
          for (const { operation, a, b } of instructions) {
            values.push(operations[operation](values[a % values.length], values[b % values.length]));
          }
          // Bounded, so that steps can follow each other.
          return returned.map((k) => {
            const place = k % values.length;
            return place < given.length ? values[place] : tf.tanh(values[place]);
          });
        };
        const f = compile(program as never, { backend: recording, donate: [0] }) as (a: Matrices) => Matrices;
        const g = compile(program as never, { backend: eager }) as (a: Matrices) => Matrices;
        const start = Array.from({ length: 4 }, (_, k) => key.foldIn(`${k}`).normal([rows, columns]));
        let state = upload(start, recording) as unknown as Matrices;
        for (let call = 0; call < 5; call++) {
          const before = await read(state as never, { keep: true });
          const wanted = (await read(g(before as never) as never)) as unknown as NdArray[];
          state = f(state);
          const got = (await read(state as never, { keep: true })) as unknown as NdArray[];
          for (const [k, array] of got.entries()) {
            expectAgreement(array, wanted[k], { op: 'transcendental', reduction: 100 });
          }
        }
        release(state as never);
      },
    ),
    { numRuns: 60 },
  );
});

describe('donated arguments', () => {
  type Pair = { readonly a: tf.Tensor; readonly b: tf.Tensor };
  const loop = async <S extends Tree<tf.Tensor>>(
    f: (state: S) => S,
    start: Tree<NdArray>,
    calls = 5,
  ): Promise<Tree<NdArray>> => {
    const compiled = compile(f as never, { backend: recording, donate: [0] }) as unknown as (state: S) => S;
    let state = upload(start as never, recording) as unknown as S;
    for (let i = 0; i < calls; i++) state = compiled(state);
    return (await read(state as never)) as Tree<NdArray>;
  };

  test('may change places', async () => {
    const start = { a: fromNested([1, 2]), b: fromNested([10, 20]) };
    const { a, b } = (await loop<Pair>(
      ({ a, b }) => ({ a: tf.add(b, 1), b: tf.mul(a, 2) }),
      start,
    )) as never as {
      a: NdArray;
      b: NdArray;
    };
    // a, b = b + 1, 2a: five times.
    let [x, y] = [
      [1, 2],
      [10, 20],
    ];
    for (let i = 0; i < 5; i++) [x, y] = [y.map((v) => v + 1), x.map((v) => 2 * v)];
    expect([[...a.data], [...b.data]]).toEqual([x, y]);
  });

  test('may be counters', async () => {
    const start = { a: fromNested([0], 'int32'), b: fromNested([1, 0], 'bool') };
    const { a, b } = (await loop<Pair>(
      ({ a, b }) => ({ a: tf.add(a, tf.scalar(3, 'int32')), b: tf.logicalNot(b) }),
      start,
    )) as never as { a: NdArray; b: NdArray };
    expect([[...a.data], [...b.data]]).toEqual([[15], [0, 1]]);
  });

  test('may be returned as they are, and twice what comes of them', async () => {
    const f = compile(
      (given: Pair) => {
        const a = tf.add(given.a, 1);
        return { a, again: a, b: given.b, c: tf.mul(given.b, 2) };
      },
      { backend: recording, donate: [0] },
    );
    let state = upload({ a: fromNested([1, 2]), b: fromNested([3, 4]) }, recording) as unknown as Pair;
    for (let i = 1; i < 6; i++) {
      const { a, again, b, c } = f(state);
      expect([...(await read(again)).data]).toEqual([1 + i, 2 + i]);
      expect([...(await read(c)).data]).toEqual([6, 8]);
      state = { a, b };
    }
    release(state as never);
  });

  test('may be the same tensor twice, or a kept one too', async () => {
    const f = compile(
      (given: Pair, kept: tf.Tensor) => ({ a: tf.add(given.a, kept), b: tf.mul(given.b, 2) }),
      {
        backend: recording,
        donate: [0],
      },
    );
    for (let i = 0; i < 5; i++) {
      const [x, y] = upload([fromNested([1, 2]), fromNested([5, 6])], recording) as unknown as tf.Tensor[];
      const kept = share(x);
      const twice = await read(f({ a: y, b: y }, x));
      expect([[...twice.a.data], [...twice.b.data]]).toEqual([
        [6, 8],
        [10, 12],
      ]);
      const once = await read(f({ a: x, b: share(kept) }, kept));
      expect([[...once.a.data], [...once.b.data]]).toEqual([
        [2, 4],
        [2, 4],
      ]);
      expect([...(await read(kept)).data]).toEqual([1, 2]);
    }
  });

  test('of one function go to another, and lie elsewhere there', async () => {
    const both = compile(({ a, b }: Pair) => ({ a: tf.add(a, 1), b: tf.mul(b, 2) }), {
      backend: recording,
      donate: [0],
    });
    const one = compile((a: tf.Tensor, b: tf.Tensor) => tf.add(a, b), { backend: recording, donate: [0] });
    let state = upload({ a: fromNested([1]), b: fromNested([2]) }, recording) as unknown as Pair;
    let [x, y] = [1, 2];
    for (let i = 0; i < 6; i++) {
      const { a, b } = both(state);
      [x, y] = [x + 1, y * 2];
      state = { a: one(a, b), b };
      x += y;
    }
    const { a, b } = (await read(state as never)) as never as { a: NdArray; b: NdArray };
    expect([a.data[0], b.data[0]]).toEqual([x, y]);
  });

  test('alone are written over, and not those that stay', async () => {
    const f = compile((a: tf.Tensor, b: tf.Tensor) => [tf.mul(a, 0.5), tf.mul(b, 2)], {
      backend: recording,
      donate: [0],
    });
    let state = upload([fromNested([32, 64]), fromNested([1, 2])], recording) as unknown as tf.Tensor[];
    for (let i = 0; i < 5; i++) {
      const [a, b] = state;
      const copy = share(a);
      state = f(a, b);
      // Both were made by the call before, and lie where the outputs of this one would.
      release(f(copy, b));
      expect([...(await read(b)).data]).toEqual([2 ** i, 2 ** (i + 1)]);
    }
    expect((await read(state)).map(({ data }) => [...data])).toEqual([
      [1, 2],
      [32, 64],
    ]);
  });

  test.each(['pmv mvp', 'mvp pvm', 'vpm vpm'])(
    'are copied by nobody, in whatever order their groups come back: %s',
    async (order) => {
      type Groups = { readonly [group: string]: readonly tf.Tensor[] };
      const [given, returned] = order.split(' ');
      const inOrder = <T>(names: string, groups: { readonly [group: string]: T }): { [group: string]: T } =>
        Object.fromEntries([...names].map((name) => [name, groups[name]]));
      const shapes = [[4, 5], [7], [300]];
      const group = (name: string): NdArray[] =>
        shapes.map((shape, k) => key.foldIn(`${name}${k}`).normal(shape));
      const update = compile(
        ({ p, m, v }: Groups): Groups => {
          const moments = m.map((one) => tf.mul(one, 0.5));
          return inOrder(returned, {
            m: moments,
            v: v.map((one, k) => tf.add(one, tf.square(moments[k]))),
            p: p.map((one, k) => tf.add(one, tf.mul(moments[k], 0.5))),
          });
        },
        { backend: recording, donate: [0] },
      );
      const start = inOrder(given, { p: group('p'), m: group('m'), v: group('v') });
      let state = upload(start, recording) as unknown as Groups;
      for (let i = 0; i < 4; i++) state = update(inOrder(given, state));
      const copy = vi.spyOn(innerOf(recording).commands, 'copy');
      onTestFinished(() => void vi.restoreAllMocks());
      for (let i = 0; i < 3; i++) state = update(inOrder(given, state));
      expect(copy).not.toHaveBeenCalled();
      expect(update.explain().recordings[0].commands).toBe(1);
      release(state as never);
    },
  );

  test('stay where they are beside others that no output takes the place of', async () => {
    // b is made of both, a of a product: that of b's old place is b.
    const f = compile(
      ({ a, b }: Pair) => ({ a: tf.matMul(a as tf.Tensor2D, a as tf.Tensor2D), b: tf.tanh(tf.add(a, b)) }),
      { backend: recording, donate: [0] },
    );
    const matrix = (): NdArray =>
      fromNested([
        [0, 1],
        [1, 0],
      ]);
    let state = upload({ a: matrix(), b: matrix() }, recording) as unknown as Pair;
    for (let i = 0; i < 4; i++) state = f(state);
    const copy = vi.spyOn(innerOf(recording).commands, 'copy');
    onTestFinished(() => void vi.restoreAllMocks());
    for (let i = 0; i < 3; i++) state = f(state);
    expect(copy).not.toHaveBeenCalled();
    release(state as never);
  });

  test('are updated by values of which one is made of another', async () => {
    const step = ({ a, b }: Pair): Pair => {
      const ga = tf.matMul(a as tf.Tensor2D, a as tf.Tensor2D);
      const gb = tf.matMul(ga, b as tf.Tensor2D);
      const sound = allFinite([ga, gb]);
      return {
        a: choose(sound, tf.sub(a, tf.mul(ga, 0.1)), a),
        b: choose(sound, tf.sub(b, tf.mul(gb, 0.1)), b),
      };
    };
    const start = { a: key.foldIn('a').normal([4, 4]), b: key.foldIn('b').normal([4, 4]) };
    const got = (await loop<Pair>(step, start, 4)) as never as { a: NdArray; b: NdArray };
    const plain = compile(step, { backend: eager });
    let state = upload(start, eager) as unknown as Pair;
    for (let i = 0; i < 4; i++) state = plain(state);
    const wanted = await read(state);
    expectAgreement(got.a, wanted.a, { op: 'network', reduction: 64 });
    expectAgreement(got.b, wanted.b, { op: 'network', reduction: 64 });
  });

  test('lie in an arena where others read them, and may be read by a step that writes it', async () => {
    // The update of a reads b, which lies in the same arena and is updated later.
    const f = ({ a, b }: Pair): Pair => ({
      a: tf.add(a, tf.reshape(tf.transpose(b), [2, 3])),
      b: tf.sub(tf.mul(b, 0.5), 1),
    });
    const start = { a: key.foldIn('a').normal([2, 3]), b: key.foldIn('b').normal([2, 3]) };
    const got = (await loop<Pair>(f, start)) as never as { a: NdArray; b: NdArray };
    const plain = compile(f, { backend: eager });
    let state = upload(start, eager) as unknown as Pair;
    for (let i = 0; i < 5; i++) state = plain(state);
    const wanted = await read(state);
    expectAgreement(got.a, wanted.a, { op: 'network', reduction: 8 });
    expectAgreement(got.b, wanted.b, { op: 'network', reduction: 8 });
  });
});
