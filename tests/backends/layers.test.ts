import type { NdArray } from '@tenon-ml/core';
import { cpu, expectClose } from '@tenon-ml/testkit';
import { describe, expect, test } from 'vitest';
import { testedBackend, testedDevice } from '../hosts/tested_backend.js';
import { expectSame } from './kernels/reference.js';
import { differentiate, networks } from './networks.js';

describe.each(networks)('%s, forward and backward', (_, model) => {
  test('agrees with tfjs-backend-cpu', async () => {
    const [{ results: ours }, { results: theirs }] = [
      await differentiate(model, testedBackend()),
      await differentiate(model, cpu()),
    ];
    const [own, reference] = [ours[0], theirs[0]];
    expect(own.map(([path]) => path)).toEqual(reference.map(([path]) => path));
    expect(own.length).toBe(model.results);
    for (const [i, [name, value]] of own.entries()) {
      const options = { op: 'network', reduction: model.reduction, device: testedDevice, name } as const;
      expectClose(value, reference[i][1], options);
    }
  });

  test('gives the same bits every time, and eager the same', async () => {
    const { results, explanation } = await differentiate(model, testedBackend({ poison: true }), {
      calls: 4,
    });
    expect(explanation.mode).toBe('replayed');
    for (const again of results.slice(1)) expect(again).toEqual(results[0]);
    const { results: eager } = await differentiate(model, testedBackend({ record: false }));
    const arrays = (entries: readonly (readonly [string, NdArray])[]) => entries.map(([, array]) => array);
    expectSame(arrays(results[0]), arrays(eager[0]), { op: 'network', reduction: model.reduction });
  });
});
