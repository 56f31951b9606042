import { scalar as tfScalar } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  isNode,
  joinPath,
  type Params,
  scalar,
  type Tree,
  treeEntries,
  treeLeaves,
  treeMap,
  treeZip,
  unflatten,
  zeros,
} from '../src/index.js';
import { anyName } from './arbitraries.js';
import { cpu, expectError } from './support.js';

beforeAll(() => cpu());

// Leaves are numbers here, for what trees do doesn't depend on what they hold. `dtype` beside `shape` is reserved.
const name = anyName.filter((n) => n !== 'dtype');
const { named, tree } = fc.letrec<{ named: Params<number>; tree: Tree<number> }>((tie) => ({
  named: fc.dictionary(name, fc.oneof({ depthSize: 'small' }, fc.integer(), tie('named')), {
    minKeys: 1,
    maxKeys: 4,
  }) as fc.Arbitrary<Params<number>>,
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.integer(),
    fc.array(tie('tree'), { maxLength: 3 }) as fc.Arbitrary<Tree<number>>,
    fc.dictionary(name, tie('tree'), { maxKeys: 3 }) as fc.Arbitrary<Tree<number>>,
  ),
}));

describe('trees', () => {
  it('map leaf by leaf, with the paths of their entries', () => {
    fc.assert(
      fc.property(tree, (t) => {
        const paths: string[] = [];
        const doubled = treeMap(t, (leaf: number, path) => {
          paths.push(path);
          return 2 * leaf;
        });
        expect(paths).toEqual(treeEntries(t).map(([path]) => path));
        expect(treeLeaves(doubled)).toEqual(treeLeaves<number>(t).map((leaf) => 2 * leaf));
        // Undone, and into plain objects again, it is the tree.
        expect(JSON.stringify(treeMap(doubled, (leaf: number) => leaf / 2))).toBe(JSON.stringify(t));
      }),
    );
  });

  it('that are named all the way down come back from their entries, in any order', () => {
    fc.assert(
      fc.property(named, fc.boolean(), (t, reverse) => {
        const entries = treeEntries<number>(t);
        if (reverse) entries.reverse();
        const again = unflatten(entries);
        expect(again).toEqual(t);
        expect(Object.getPrototypeOf(again)).toBe(Object.prototype);
      }),
    );
  });

  it('leave the objects that names may collide with alone', () => {
    const built = unflatten([
      ['constructor.kernel', 1],
      ['toString.a.b', 2],
      ['hasOwnProperty', 3],
    ]);
    expect(Object.keys(built)).toEqual(['constructor', 'toString', 'hasOwnProperty']);
    expect(built).toEqual({ constructor: { kernel: 1 }, toString: { a: { b: 2 } }, hasOwnProperty: 3 });
    expect('kernel' in Object).toBe(false);
    expect('a' in Object.prototype.toString).toBe(false);
  });

  it('zip by name, whatever the order of the other', () => {
    fc.assert(
      fc.property(named, (t) => {
        const backwards = (node: Params<number> | number): Tree<string> =>
          typeof node === 'number'
            ? `${node}`
            : Object.fromEntries(
                Object.entries(node)
                  .reverse()
                  .map(([key, child]) => [key, backwards(child)]),
              );
        const zipped = treeZip<number, string, string>(
          t,
          backwards(t),
          (a, b, path) => `${path}:${a === Number(b)}`,
        );
        expect(treeEntries<string>(zipped)).toEqual(treeEntries(t).map(([path]) => [path, `${path}:true`]));
      }),
    );
  });

  it.each([
    [{ a: 1 }, { b: 1 }, 'tree', '{ a }', '{ b }'],
    [{ a: { b: 1, c: 2 } }, { a: { b: 1 } }, 'a', '{ b, c }', '{ b }'],
    [{ a: { b: 1 } }, { a: { b: 1, c: 2 } }, 'a', '{ b }', '{ b, c }'],
    [{ a: { b: 1 } }, { a: { b: { c: 1 } } }, 'a.b', 'a leaf', '{ c }'],
    [{ a: { b: { c: 1 } } }, { a: { b: 1 } }, 'a.b', '{ c }', 'a leaf'],
    [{ a: [1, 2] }, { a: [1] }, 'a', 'an array of 2', 'an array of 1'],
    [{ a: [1] }, { a: { 0: 1 } }, 'a', 'an array of 1', '{ 0 }'],
    [[1, { x: 1 }], [1, { y: 1 }], '1', '{ x }', '{ y }'],
    [{ toString: 1 }, { other: 1 }, 'tree', '{ toString }', '{ other }'],
  ] as [Tree<number>, Tree<number>, string, string, string][])(
    'zip of %j and %j says where they differ',
    async (a, b, where, expected, got) => {
      const error = await expectError(() => treeZip(a, b, () => 0), 'STRUCTURE_MISMATCH');
      expect([error.where, error.expected, error.got]).toEqual([where, expected, got]);
    },
  );

  it.each(['', 'a.b', '__proto__'])('refuse the name %j', async (bad) => {
    const t = { ok: JSON.parse(`{${JSON.stringify(bad)}: 1}`) as Tree<number> };
    for (const f of [
      () => treeEntries(t),
      () => treeLeaves(t),
      () => treeMap(t, () => 0),
      () => treeZip(t, t, () => 0),
    ]) {
      await expectError(f, 'INVALID_ARGUMENT', 'ok: ', `'${bad}'`);
    }
  });

  it.each([
    [['a', 'a'], 'a'],
    [['a', 'a.b'], 'a.b'],
    [['a.b', 'a'], 'a'],
    [['a.b.c', 'a.b', 'x'], 'a.b'],
  ])('refuse the paths %j', async (paths, where) => {
    const error = await expectError(() => unflatten(paths.map((path) => [path, 1])), 'STRUCTURE_MISMATCH');
    expect(error.where).toBe(where);
  });

  it.each(['', 'a..b', '.a', 'a.', 'a.__proto__.b'])('refuse the path %j', async (path) => {
    await expectError(() => unflatten([[path, 1]]), 'INVALID_ARGUMENT');
    expect(Object.hasOwn(Object.prototype, 'b')).toBe(false);
  });
});

describe('isNode', () => {
  it('takes plain arrays and objects for nodes', () => {
    expect([[], {}, { a: 1 }, Object.create(null), { shape: [1] }, { dtype: 'float32' }].every(isNode)).toBe(
      true,
    );
  });

  it('takes host values, specs, tensors and what has a class for leaves', () => {
    const leaves = [
      zeros([2]),
      { shape: [null, 2], dtype: 'float32' },
      tfScalar(1),
      new Map(),
      new Float32Array(2),
      new Date(0),
      null,
      undefined,
      3,
      'text',
      () => 3,
    ];
    expect(leaves.filter(isNode)).toEqual([]);
    expect(treeEntries({ a: scalar(1), b: [scalar(2)] }).map(([path]) => path)).toEqual(['a', 'b.0']);
    expect(treeEntries(scalar(1)).map(([path]) => path)).toEqual(['']);
  });
});

it('joinPath begins at the root', () => {
  expect([joinPath('', 'a'), joinPath('a', 'b'), joinPath('a.b', 0)]).toEqual(['a', 'a.b', 'a.b.0']);
});
