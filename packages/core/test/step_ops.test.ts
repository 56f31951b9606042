import { add, div, mul, sqrt, square, sub, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  adamMoments,
  allFinite,
  type Backend,
  compile,
  createKey,
  fromNested,
  type NdArray,
  ndarray,
  read,
  sameBits,
  scalar,
  toNested,
  zeros,
} from '../src/index.js';
import { cpu } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

describe('allFinite', () => {
  const ask = async (...arrays: NdArray[]): Promise<unknown> => {
    const result = await read(compile((xs: Tensor[]) => allFinite(xs), { backend })(arrays));
    expect([result.dtype, result.shape]).toEqual(['bool', []]);
    return toNested(result);
  };

  it('finds one element that is not finite, wherever it stands', async () => {
    const bad = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    const sizes = fc.array(fc.integer({ min: 0, max: 70 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(sizes, bad, fc.nat(), async (lengths, value, place) => {
        const arrays = lengths.map((length, i) => createKey(i).normal([length], 0, 1e38));
        expect(await ask(...arrays)).toBe(true);
        const total = lengths.reduce((a, b) => a + b, 0);
        if (total === 0) return;
        let at = place % total;
        for (const { data } of arrays) {
          if (at >= 0 && at < data.length) data[at] = value;
          at -= data.length;
        }
        expect(await ask(...arrays)).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  it('takes the largest numbers for finite, and nothing too', async () => {
    const largest = 3.4028234663852886e38;
    expect(await ask(fromNested([largest, largest]), scalar(-largest), zeros([0]))).toBe(true);
    expect(await ask()).toBe(true);
  });
});

describe('adamMoments', () => {
  const shapes = [[3], [2, 5], [], [0, 4]];
  const draw = (name: string): NdArray[] =>
    shapes.map((shape, i) => {
      const drawn = createKey(5).foldIn(name).foldIn(i).normal(shape);
      return name === 'second' ? ndarray('float32', shape, Float32Array.from(drawn.data, Math.abs)) : drawn;
    });
  const lists = { updates: draw('update'), firstMoments: draw('first'), secondMoments: draw('second') };

  it.each([false, true])(
    'is the formula, to the bit, for each parameter (corrected: %s)',
    async (corrected) => {
      const f = compile(
        (
          given: { updates: Tensor[]; firstMoments: Tensor[]; secondMoments: Tensor[] },
          r: Tensor,
          e: Tensor,
        ) => {
          const options = { ...given, beta1: 0.9, beta2: 0.999 };
          const own = adamMoments({ ...options, epsilon: corrected ? { rootScale: r, epsilon: e } : 1e-3 });
          const plain = given.updates.map((u, i) => {
            const [m, v] = [given.firstMoments[i], given.secondMoments[i]];
            const first = add(m, mul(sub(u, m), 1 - 0.9));
            const second = add(v, mul(sub(square(u), v), 1 - 0.999));
            const root = sqrt(second);
            return [div(first, corrected ? add(mul(root, r), e) : add(root, 1e-3)), first, second];
          });
          return { own: { ...own }, plain };
        },
        { backend },
      );
      const { own, plain } = await read(f(lists, scalar(3.1), scalar(1e-9)));
      for (const [i, [update, first, second]] of plain.entries()) {
        expect(sameBits(own.updates[i], update)).toBe(true);
        expect(sameBits(own.firstMoments[i], first)).toBe(true);
        expect(sameBits(own.secondMoments[i], second)).toBe(true);
      }
      expect(own.updates).toHaveLength(shapes.length);
    },
  );
});
