import { buildLayer, createKey, type LayerSpec, type TensorSpec } from '@tenon-ml/core';
import { conv2d, dense, flatten, relu, residual, sequential, summary } from '@tenon-ml/layers';
import { layers } from '@tenon-ml/layers/all';
import { describe, expect, test } from 'vitest';
import { inspectNetwork, layerCatalog, type NetworkReport, presets, uneditedOptions } from '../src/index.js';
import { preset } from './support.js';

const images: TensorSpec = { dtype: 'float32', shape: [null, 8, 8, 1] };
const photographs: TensorSpec = { dtype: 'float32', shape: [null, 32, 32, 3] };
const inputs: { readonly [id: string]: TensorSpec } = {
  'digits-mlp': images,
  'digits-cnn': images,
  'cifar10-cnn': photographs,
  'cifar10-resnet': photographs,
  'text-gpt': { dtype: 'int32', shape: [null, 64] },
  'table-mlp': { dtype: 'float32', shape: [null, 4] },
  'pictures-cnn': photographs,
};
const shapes = ({ rows }: NetworkReport) => rows.map(({ name, output }) => [name, output]);
const errors = ({ rows }: NetworkReport) => rows.map(({ error }) => error?.message);

describe('inspectNetwork', () => {
  test('lists the calls, as far as summary takes them apart, and adds up to it', () => {
    for (const { id, document } of presets) {
      const report = inspectNetwork(document.network, inputs[id]);
      const built = buildLayer(document.network, layers);
      const whole = summary(built as never, inputs[id]);
      expect(report.error).toBe(undefined);
      expect(report.rows.map(({ name }) => name)).toEqual(whole.map(({ path }) => path));
      expect(report.rows.map(({ params, state, multiplyAdds }) => [params, state, multiplyAdds])).toEqual(
        whole.map(({ params, state, multiplyAdds }) => [params, state, multiplyAdds]),
      );
      expect(report.output).toEqual(built.init(createKey(1), inputs[id]).output);
    }
  });

  test("says the figures of the CIFAR-10 network of TensorFlow's tutorial", () => {
    const report = inspectNetwork(preset('cifar10-cnn').network, photographs);
    expect(report.params).toBe(122_570);
    const products = [27 * 32 * 30 ** 2, 288 * 64 * 13 ** 2, 576 * 64 * 4 ** 2, 1024 * 64, 640];
    expect(report.multiplyAdds).toBe(products.reduce((a, b) => a + b));
  });

  test('is quick enough to type by', () => {
    const { network } = preset('cifar10-resnet');
    inspectNetwork(network, photographs);
    const times = Array.from({ length: 20 }, () => {
      const begun = performance.now();
      inspectNetwork(network, photographs);
      return performance.now() - begun;
    });
    // A few milliseconds; ten times that where the machine is busy. Drawing the weights takes longer.
    expect(Math.min(...times)).toBeLessThan(15);
  });

  const network = (change: object): LayerSpec => {
    const spec = sequential([conv2d(4, 3), relu(), flatten(), dense(10)]).spec;
    return { ...spec, children: { ...(spec.children as object), ...change } };
  };

  test('puts an error at its row: the rows before have shapes, those after none', () => {
    const report = inspectNetwork(network({ flatten_1: { layer: 'relu', version: 1 } }), images);
    expect(shapes(report)).toEqual([
      ['conv2d_1', [null, 6, 6, 4]],
      ['relu_1', [null, 6, 6, 4]],
      ['flatten_1', [null, 6, 6, 4]],
      ['dense_1', null],
    ]);
    expect(errors(report).slice(0, 3)).toEqual([undefined, undefined, undefined]);
    expect(report.rows[3].error).toMatchObject({ code: 'SHAPE_MISMATCH', where: 'dense_1' });
    expect(report).toMatchObject({
      output: null,
      multiplyAdds: null,
      params: 40,
      error: report.rows[3].error,
    });
  });

  test('tells of a layer that it does not know, of options, and of both at once', () => {
    const conv = conv2d(4, 3).spec;
    const report = inspectNetwork(
      network({ conv2d_1: { ...conv, filters: 0 }, flatten_1: { layer: 'flaten', version: 1 } }),
      images,
    );
    expect(shapes(report).map(([, output]) => output)).toEqual([null, null, null, null]);
    expect(errors(report)).toEqual([
      'conv2d_1: expected filters to be an integer of at least 1, got 0.',
      undefined,
      "flatten_1: There is no layer 'flaten'. Did you mean 'flatten'?",
      undefined,
    ]);
    expect(report.error).toBe(report.rows[0].error);
  });

  test('tells of an input that no layer can take, of a list that contradicts itself, and of no list', () => {
    const { children } = sequential([relu(), dense(2)]).spec as unknown as { children: object };
    const vector: TensorSpec = { dtype: 'float32', shape: [null, 4] };
    const uncalled = { layer: 'sequential', version: 1, children, order: ['relu_1'] } as unknown as LayerSpec;
    expect(inspectNetwork(uncalled, vector).error?.message).toContain('order');
    const missing = { ...uncalled, order: ['relu_1', 'dense_2'] };
    expect(inspectNetwork(missing, vector)).toMatchObject({
      rows: [{ name: '', output: null }],
      output: null,
    });
    const junk = { layer: 'sequential', version: 1, children: { a: 3 }, order: ['a'] } as LayerSpec;
    expect(inspectNetwork(junk, vector).rows[0].error?.message).toContain('expected a spec');
    expect(inspectNetwork(dense(3).spec, vector)).toMatchObject({
      rows: [{ name: '', layer: 'dense', output: [null, 3], params: 15, multiplyAdds: 12 }],
      params: 15,
    });
  });

  test('counts what containers hold, and a layer that is called twice once', () => {
    const layer = dense(4);
    const inner = sequential([relu(), residual(dense(4))]);
    const report = inspectNetwork(sequential({ layer, inner }, { order: ['layer', 'inner', 'layer'] }).spec, {
      dtype: 'float32',
      shape: [null, 4],
    });
    expect(report.rows.map(({ name, params, multiplyAdds }) => [name, params, multiplyAdds])).toEqual([
      ['layer', 20, 16],
      ['inner', 20, 16],
      ['layer', 0, 16],
    ]);
    expect(report).toMatchObject({ params: 40, multiplyAdds: 48 });
  });
});

describe('layerCatalog', () => {
  test('has every layer of the package but those that hold others', () => {
    const containers = ['residual', 'sequential'];
    expect([...layerCatalog.map(({ layer }) => layer), ...containers].sort()).toEqual(
      Object.keys(layers.layers).sort(),
    );
  });

  test.each(layerCatalog.map((entry) => [entry.layer, entry] as const))('%s builds', (_, entry) => {
    const { spec } = buildLayer(entry.defaults, layers);
    expect(spec).toEqual(entry.defaults);
    const named = entry.options.map(({ name }) => name);
    const all = Object.keys(spec).filter((name) => name !== 'layer' && name !== 'version');
    expect([...named, ...uneditedOptions.filter((name) => all.includes(name))].sort()).toEqual(all.sort());
  });

  test.each(
    layerCatalog.flatMap((entry) =>
      entry.options.map((option) => [entry.layer, option.name, entry, option] as const),
    ),
  )('%s, %s is of its kind and range', (_, name, entry, option) => {
    const build = (value: unknown) => buildLayer({ ...entry.defaults, [name]: value } as LayerSpec, layers);
    const good = {
      integer: [1, 7],
      number: [0.5],
      boolean: [true, false],
      choice: option.choices ?? [],
      pair: [[1, 2], 1],
    }[option.kind];
    expect(good.length).toBeGreaterThan(0);
    for (const value of good) build(value);
    if (option.kind === 'choice' || option.kind === 'boolean') expect(() => build('else')).toThrow(name);
    else {
      const { min, max, exclusive } = option;
      const bounds = [
        min === undefined ? [] : [min, min - 1, exclusive === 'min'],
        max === undefined ? [] : [max, max + 1, exclusive === 'max'],
      ];
      for (const [bound, beyond, outside] of bounds) {
        if (bound === undefined) continue;
        if (outside) expect(() => build(bound)).toThrow(name);
        else build(bound);
        expect(() => build(beyond)).toThrow(name);
      }
    }
    const { [name]: _value, ...without } = entry.defaults;
    if (option.optional) buildLayer(without as LayerSpec, layers);
    else expect(() => buildLayer(without as LayerSpec, layers)).toThrow(name);
  });

  test('shows the rows of a list within the list, whose figures add up to its own', () => {
    const inner = sequential([conv2d(4, 3), relu()]);
    const outer = sequential({ body: inner, flatten: flatten(), head: dense(10) }).spec;
    const [body, ...rest] = inspectNetwork(outer, images).rows;
    const flat = inspectNetwork(inner.spec, images);
    expect(body.children).toEqual(flat.rows);
    expect([body.output, body.params, body.multiplyAdds]).toEqual([
      flat.output?.shape,
      flat.params,
      flat.multiplyAdds,
    ]);
    expect(rest.map(({ children }) => children)).toEqual([undefined, undefined]);
  });

  test('names what is wrong within a list by its whole path, at the row within and at the list', () => {
    const inner = sequential([conv2d(4, 3), relu()]).spec;
    const children = { ...(inner.children as object), conv2d_1: { layer: 'conv2d', version: 1, filters: 0 } };
    const outer = sequential({ body: sequential([relu()]), head: relu() }).spec;
    const wrong = { ...outer, children: { ...(outer.children as object), body: { ...inner, children } } };
    const [body] = inspectNetwork(wrong as LayerSpec, images).rows;
    expect(body.children?.map(({ error }) => error?.where)).toEqual(['body.conv2d_1', undefined]);
    expect(body.error?.where).toBe('body.conv2d_1');
    expect(body.children?.[1].output).toBe(null);
  });
});
