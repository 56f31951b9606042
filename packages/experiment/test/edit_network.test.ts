import { buildLayer, type LayerSpec } from '@tenon-ml/core';
import { dense, relu, sequential } from '@tenon-ml/layers';
import { layers } from '@tenon-ml/layers/all';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { insertLayer, layerCatalog, moveLayer, removeLayer, replaceLayer } from '../src/index.js';

type List = { readonly children: { readonly [name: string]: LayerSpec }; readonly order: readonly string[] };
const listOf = (spec: LayerSpec) => spec as unknown as List;
const kinds = ['dense', 'relu', 'flatten', 'dropout'];
const layer = fc
  .constantFrom(...layerCatalog.filter((entry) => kinds.includes(entry.layer)))
  .map((e) => e.defaults);

/** A network that edits have made, so that names and order have come apart. */
const network = fc
  .tuple(fc.array(layer, { maxLength: 6 }), fc.array(fc.nat(5), { maxLength: 4 }))
  .map(([specs, moves]) => {
    let made: LayerSpec = sequential(specs.map((spec) => buildLayer(spec, layers)) as never).spec;
    for (const place of moves) {
      const { order } = listOf(made);
      if (order.length > 0) made = moveLayer(made, order[place % order.length], 0);
    }
    return made;
  });

/** The layers under their names are as they were. */
function expectKept(before: LayerSpec, after: LayerSpec, but: readonly string[]) {
  const [old, now] = [listOf(before), listOf(after)];
  for (const [name, spec] of Object.entries(old.children)) {
    if (!but.includes(name)) expect(now.children[name]).toEqual(spec);
  }
  const known = (order: readonly string[]) =>
    order.filter((name) => name in old.children && !but.includes(name));
  expect(buildLayer(after, layers).spec).toEqual(after);
  return { old: known(old.order), now: known(now.order) };
}

describe('edits keep the names of all layers that they do not touch', () => {
  test('insertLayer', () => {
    fc.assert(
      fc.property(network, layer, fc.nat(6), (spec, added, place) => {
        const { order } = listOf(spec);
        const at = place % (order.length + 1);
        const after = insertLayer(spec, added, at);
        const kept = expectKept(spec, after, []);
        expect(kept.now).toEqual(kept.old);
        const name = listOf(after).order[at];
        expect(listOf(after).children[name]).toEqual(added);
        const count = Number(name.split('_')[1]);
        expect(name).toBe(`${added.layer}_${count}`);
        // The first that is free.
        for (let i = 1; i < count; i++) expect(listOf(spec).children).toHaveProperty(`${added.layer}_${i}`);
        expect(removeLayer(after, name)).toEqual(spec);
        expect(listOf(insertLayer(spec, added)).order.slice(0, -1)).toEqual(order);
      }),
    );
  });

  test('removeLayer and moveLayer', () => {
    fc.assert(
      fc.property(network, fc.nat(5), fc.nat(5), (spec, which, to) => {
        const { order } = listOf(spec);
        if (order.length === 0) return;
        const name = order[which % order.length];
        const removed = removeLayer(spec, name);
        expect(expectKept(spec, removed, [name])).toMatchObject({
          now: order.filter((other) => other !== name),
        });
        const place = to % order.length;
        const moved = moveLayer(spec, name, place);
        const kept = expectKept(spec, moved, [name]);
        expect(kept.now).toEqual(kept.old);
        expect(listOf(moved).order[place]).toBe(name);
        expect(listOf(moved).children[name]).toEqual(listOf(spec).children[name]);
      }),
    );
  });

  test('replaceLayer, which keeps the name of a layer of the same kind', () => {
    fc.assert(
      fc.property(network, layer, fc.nat(5), (spec, other, which) => {
        const { order, children } = listOf(spec);
        if (order.length === 0) return;
        const name = order[which % order.length];
        const after = replaceLayer(spec, name, other);
        const kept = expectKept(spec, after, [name]);
        expect(kept.now).toEqual(kept.old);
        const now = listOf(after).order[which % order.length];
        expect(listOf(after).children[now]).toEqual(other);
        expect(now === name).toBe(children[name].layer === other.layer);
        expect(listOf(after).order).toHaveLength(order.length);
      }),
    );
  });
});

test('of a layer that is called twice', () => {
  const twice = dense(4);
  const spec = sequential({ a: twice, b: relu() }, { order: ['a', 'b', 'a'] }).spec;
  expect(listOf(removeLayer(spec, 'a'))).toMatchObject({ order: ['b'], children: { b: { layer: 'relu' } } });
  expect(Object.keys(listOf(removeLayer(spec, 'a')).children)).toEqual(['b']);
  expect(listOf(moveLayer(spec, 'a', 2)).order).toEqual(['b', 'a', 'a']);
  expect(listOf(replaceLayer(spec, 'a', relu().spec)).order).toEqual(['relu_1', 'b', 'relu_1']);
});

test('refuse names and places that are not there, and other networks', () => {
  const spec = sequential([relu()]).spec;
  expect(() => removeLayer(spec, 'relu_2')).toThrow(
    "network: expected one of its layers, relu_1, got 'relu_2'.",
  );
  expect(() => moveLayer(spec, 'relu_1', 1)).toThrow('expected a place from 0 to 0, got 1');
  expect(() => insertLayer(spec, relu().spec, 2)).toThrow('expected a place from 0 to 1, got 2');
  expect(() => insertLayer(relu().spec, relu().spec)).toThrow(
    "expected a 'sequential' of layers by name, got 'relu'",
  );
});
