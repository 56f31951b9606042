import { add, cast, mul, stack, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  type Context,
  compile,
  createContext,
  createKey,
  fromNested,
  hash32,
  keyFromWords,
  philoxUniformDefinition,
  philoxWords,
  randomUniform,
  read,
  STEP_DOMAIN,
  sameBits,
  sizeOf,
  type Tree,
  tensorCount,
  toNested,
  unitFloat,
  zeros,
} from '../src/index.js';
import { anyName, anyShape } from './arbitraries.js';
import { anotherCpu, cpu, expectError } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

/** Only handed through: nothing is computed with it. */
const key = { id: 'the key' } as unknown as Tensor;
const root = (): Context => createContext({ training: true, key });

describe('createContext', () => {
  it('names children by their path, and passes on what it was told', () => {
    const context = createContext({ training: false, key });
    const child = context.child('stem').child('conv1');
    expect([context.path, child.path, child.training]).toEqual(['', 'stem.conv1', false]);
    expect(child.random.key).toBe(key);
  });

  it('has a site for each path and each call, the same in every step', () => {
    const sites = (context: Context): number[] => {
      const a = context.child('a');
      const again = context.child('a');
      return [context, a, again, a.child('x'), again.child('x'), context.child('b')].map(
        (c) => c.random.site,
      );
    };
    const first = sites(root());
    expect(sites(root())).toEqual(first);
    expect(new Set(first).size).toBe(6);
    for (const site of first) expect(Number.isInteger(site) && site >= 0 && site < 2 ** 32).toBe(true);
    // Pinned: another hash would change every mask that a seed stands for.
    expect(root().child('stem').child('dropout').random.site).toBe(hash32('stem.dropout#0'));
    expect(root().child('stem').child('dropout').random.site).toBe(0x1a297bca);
  });

  it('gives one call one site, however often it is asked', () => {
    const child = root().child('dropout');
    expect(child.random.site).toBe(child.random.site);
  });

  it('tells any names and calls apart', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyName, { maxLength: 20 }), (names) => {
        const context = root();
        const sites = [0, 1, 2].flatMap(() => names.map((name) => context.child(name).random.site));
        expect(new Set(sites).size).toBe(sites.length);
      }),
    );
  });

  it('does not depend on the order in which children are called', () => {
    const forward = root();
    const [a, b] = [forward.child('a').random.site, forward.child('b').random.site];
    const backward = root();
    expect([backward.child('b').random.site, backward.child('a').random.site]).toEqual([b, a]);
  });

  it('throws where it has no key, naming the layer', async () => {
    const context = createContext({ training: true });
    await expectError(
      () => context.child('head').child('dropout').random,
      'MISSING_RANDOM_KEY',
      'head.dropout',
      'key',
    );
    await expectError(() => context.random, 'MISSING_RANDOM_KEY', 'model');
  });

  it('shows what is tapped, with its path', () => {
    const seen: [string, unknown][] = [];
    const context = createContext({
      training: true,
      onTap: (path, output) => void seen.push([path, output]),
    });
    context.child('stem').tap('conv1', key);
    context.tap('head', [key]);
    expect(seen).toEqual([
      ['stem.conv1', key],
      ['head', [key]],
    ]);
    expect(createContext({ training: true }).tap('x', key)).toBe(key);
  });

  it('goes on with what the observer returns, if that is anything', async () => {
    const f = compile(
      (x: Tensor) => {
        const context = createContext({
          training: false,
          onTap: (path, output) => (path === 'a.b' ? mul(output as Tensor, 10) : undefined),
        });
        const other = context.tap('other', x);
        expect(other).toBe(x);
        return [context.child('a').tap('b', x), other];
      },
      { backend },
    );
    const [replaced, other] = await read(f(fromNested([1, 2])));
    expect([toNested(replaced), toNested(other)]).toEqual([
      [10, 20],
      [1, 2],
    ]);
  });

  it('refuses a replacement of another shape, dtype or structure, and leaves nothing behind', async () => {
    const before = tensorCount();
    const replaceBy = (replace: (x: Tensor) => Tree<Tensor>) => () =>
      compile(
        (x: Tensor) => {
          const onTap = (_: string, output: Tree<Tensor>) => replace(output as Tensor);
          return createContext({ training: false, onTap }).child('a').tap('b', x);
        },
        { backend },
      )(fromNested([1, 2]));
    await expectError(
      replaceBy((x) => stack([x, x])),
      'SHAPE_MISMATCH',
      'a.b: expected float32 [2] in the place of the output, got float32 [2, 2]',
    );
    await expectError(
      replaceBy((x) => cast(x, 'int32')),
      'DTYPE_MISMATCH',
      'a.b: expected float32 [2] in the place of the output, got int32 [2]',
    );
    await expectError(
      replaceBy((x) => [x]),
      'STRUCTURE_MISMATCH',
      'a.b',
    );
    expect(tensorCount()).toBe(before);
  });
});

describe('randomUniform', () => {
  const draw = (shape: readonly number[], site: number, on = backend) =>
    compile((k: Tensor) => randomUniform({ key: k, site }, shape), { backend: on });

  it('is Philox at the counter (⌊i/4⌋, 0, site, 5) under the key', async () => {
    const before = tensorCount();
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat({ max: 0xffffffff }), anyShape, async (seed, site, shape) => {
        const stepKey = createKey(seed);
        const got = await read(draw(shape, site)(stepKey.toNdArray()));
        const words = philoxWords(stepKey.words, site, STEP_DOMAIN, sizeOf(shape));
        expect(got).toEqual({ dtype: 'float32', shape, data: Float32Array.from(words, unitFloat) });
      }),
      { numRuns: 50 },
    );
    expect(STEP_DOMAIN).toBe(5);
    expect(tensorCount()).toBe(before);
  });

  it('is pinned, so that a seed means the same tomorrow', async () => {
    const got = await read(draw([2, 2], 0x12345678)(keyFromWords([1, 2]).toNdArray()));
    // By another implementation of Philox, in Python's integers.
    expect(toNested(got)).toEqual([
      [0.7283352613449097, 0.23858773708343506],
      [0.9661039710044861, 0.6146557927131653],
    ]);
  });

  it('is the same on every backend, and for every call', async () => {
    const array = createKey(5).toNdArray();
    const first = await read(draw([3, 3], 9)(array));
    expect(sameBits(await read(draw([3, 3], 9)(array)), first)).toBe(true);
    expect(sameBits(await read(draw([3, 3], 9, await anotherCpu())(array)), first)).toBe(true);
  });

  it('differs by key, site and draw', async () => {
    const f = compile(
      (a: Tensor, b: Tensor) => {
        const shape = [64];
        return stack([
          randomUniform({ key: a, site: 1 }, shape),
          randomUniform({ key: b, site: 1 }, shape),
          randomUniform({ key: a, site: 2 }, shape),
          randomUniform({ key: a, site: 1 }, shape, 1),
          randomUniform({ key: a, site: 1 }, shape, 2),
        ]);
      },
      { backend },
    );
    const rows = toNested(await read(f(createKey(1).toNdArray(), createKey(2).toNdArray()))) as number[][];
    expect(new Set(rows.flat()).size).toBe(5 * 64);
  });

  it('takes a key that was computed inside the step', async () => {
    const f = compile((k: Tensor) => randomUniform({ key: add(k, 1), site: 3 }, [4]), { backend });
    const stepKey = keyFromWords([10, 20]).toNdArray();
    const expected = await read(draw([4], 3)(keyFromWords([11, 21]).toNdArray()));
    expect(await read(f(stepKey))).toEqual(expected);
  });

  it('reads the key as unsigned words', () => {
    const high = keyFromWords([0xfedcba98, 0x80000000]);
    const got = philoxUniformDefinition.host?.({ key: high.toNdArray() }, { site: 1, shape: [4] });
    expect(got?.data).toEqual(Float32Array.from(philoxWords(high.words, 1, STEP_DOMAIN, 4), unitFloat));
    expect(got).toMatchObject({ dtype: 'float32', shape: [4] });
    expect(zeros([4])).not.toEqual(got);
  });
});
