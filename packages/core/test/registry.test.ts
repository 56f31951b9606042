import { describe, expect, it } from 'vitest';
import {
  type AnyLayer,
  buildLayer,
  buildTransform,
  checkVersion,
  createRegistry,
  defineLayer,
  defineTransform,
  type LayerSpec,
  type Transform,
  type TransformationSpec,
} from '../src/index.js';
import { expectError } from './support.js';

/** A layer that is nothing but its spec and where it was built. */
const built = (spec: LayerSpec, path: string): AnyLayer => ({ spec, path }) as unknown as AnyLayer;
const dense = defineLayer({ name: 'dense', version: 2, build: (spec, _, path) => built(spec, path) });
const conv = defineLayer({ name: 'conv2d', version: 1, build: (spec, _, path) => built(spec, path) });
const list = defineLayer({
  name: 'sequential',
  version: 1,
  build: (spec, registry, path) =>
    ({
      spec,
      children: Object.fromEntries(
        Object.entries(spec.children as Record<string, LayerSpec>).map(([name, child]) => [
          name,
          buildLayer(child, registry, path ? `${path}.${name}` : name),
        ]),
      ),
    }) as unknown as AnyLayer,
});
const scale = defineTransform({
  name: 'scale',
  version: 1,
  build: (spec) => ({ spec, apply: (x) => x }) satisfies Transform,
});

describe('createRegistry', () => {
  it('takes definitions and registries, the same one twice', () => {
    const layers = createRegistry(dense, conv);
    const all = createRegistry(layers, scale, dense, layers);
    expect(Object.keys(all.layers)).toEqual(['dense', 'conv2d']);
    expect(Object.keys(all.transforms)).toEqual(['scale']);
    expect(Object.keys(layers.transforms)).toEqual([]);
    expect(Object.isFrozen(dense) && Object.isFrozen(scale)).toBe(true);
  });

  it('refuses two definitions of one name, of a kind', async () => {
    const mine = defineLayer({ name: 'dense', version: 1, build: (spec, _, path) => built(spec, path) });
    await expectError(() => createRegistry(dense, mine), 'INVALID_ARGUMENT', "layer 'dense'", 'another name');
    await expectError(() => createRegistry(createRegistry(dense), createRegistry(mine)), 'INVALID_ARGUMENT');
    const sameName = defineTransform({ name: 'dense', version: 1, build: scale.build });
    expect(Object.keys(createRegistry(dense, sameName).transforms)).toEqual(['dense']);
  });
});

describe('buildLayer', () => {
  const registry = createRegistry(dense, conv, list, scale);

  it('builds what the spec names, older versions too, and says where', () => {
    const spec = { layer: 'dense', version: 1, units: 3 };
    expect(buildLayer(spec, registry)).toEqual({ spec, path: '' });
    const nested = { layer: 'sequential', version: 1, children: { head: { layer: 'dense', version: 2 } } };
    expect(buildLayer(nested, registry, 'model').children?.head).toMatchObject({ path: 'model.head' });
  });

  it('names the nearest layers for one that it does not know, and where it stands', async () => {
    const nested = { layer: 'sequential', version: 1, children: { head: { layer: 'dence', version: 1 } } };
    await expectError(() => buildLayer(nested, registry), 'UNKNOWN_NAME', 'head: ', "'dence'", "'dense'");
    await expectError(
      () => buildLayer({ layer: 'attention', version: 1 }, registry),
      'UNKNOWN_NAME',
      'Known: dense',
    );
    await expectError(() => buildLayer({ layer: 'constructor', version: 1 }, registry), 'UNKNOWN_NAME');
    await expectError(() => buildLayer({ layer: 'scale', version: 1 }, registry), 'UNKNOWN_NAME');
  });

  it('refuses a version that is newer, or none', async () => {
    await expectError(
      () => buildLayer({ layer: 'dense', version: 3 }, registry, 'head'),
      'FORMAT_TOO_NEW',
      'head: ',
      "'dense' in version 2 or older",
      'version 3',
      'update',
    );
    for (const version of [0, -1, 1.5, '1', null, undefined, Number.NaN]) {
      const spec = { layer: 'dense', version } as unknown as LayerSpec;
      await expectError(() => buildLayer(spec, registry), 'ARTIFACT_INVALID', 'at least 1');
    }
  });

  it.each([null, 3, 'dense', [], { version: 1 }, { layer: 3, version: 1 }])(
    'refuses %j as a spec',
    async (spec) => {
      await expectError(
        () => buildLayer(spec as unknown as LayerSpec, registry, 'head'),
        'ARTIFACT_INVALID',
        'head',
      );
    },
  );
});

describe('buildTransform', () => {
  const registry = createRegistry(dense, scale);

  it('builds, and refuses as buildLayer does', async () => {
    const spec = { transform: 'scale', version: 1, by: 2 };
    expect(buildTransform(spec, registry)).toMatchObject({ spec });
    await expectError(
      () => buildTransform({ transform: 'scal', version: 1 }, registry),
      'UNKNOWN_NAME',
      "'scale'",
      'preprocessing',
    );
    await expectError(() => buildTransform({ transform: 'dense', version: 1 }, registry), 'UNKNOWN_NAME');
    await expectError(() => buildTransform({ transform: 'scale', version: 2 }, registry), 'FORMAT_TOO_NEW');
    await expectError(
      () => buildTransform([] as unknown as TransformationSpec, registry),
      'ARTIFACT_INVALID',
    );
  });
});

it('checkVersion lets every version up to the newest pass', async () => {
  for (const version of [1, 2, 3]) expect(() => checkVersion('it', version, 3, 'here')).not.toThrow();
  await expectError(() => checkVersion('it', 4, 3, 'here'), 'FORMAT_TOO_NEW');
});
