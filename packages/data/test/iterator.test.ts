import { createKey } from '@tenon-ml/core';
import { expect, test } from 'vitest';
import { digits } from '../src/digits/index.js';

test('smoke', async () => {
  const { train, test: held } = await digits().split(
    { train: 0.8, test: 0.2 },
    { key: createKey(1), stratify: ({ target }) => target },
  );
  expect(train.length! + held.length!).toBe(1797);
  const batches = train
    .shuffle({ key: createKey(2) })
    .batch(32)
    .prefetch(2);
  const all = await batches.toArray({ epoch: 3 });
  const it = batches.iterator({ epoch: 3 });
  for (let i = 0; i < 5; i++) await it.next();
  const again = batches.iterator();
  await again.restore(JSON.parse(JSON.stringify(it.state())));
  const rest = [];
  for await (const b of again) rest.push(b);
  expect(rest).toEqual(all.slice(5));
  expect(all[0].input.shape).toEqual([32, 8, 8, 1]);
  console.log(train.description, it.state());
});
