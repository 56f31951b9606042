import { compile, read, scalar } from '@tenon-ml/core';
import { square, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { testedBackend } from '../hosts/tested_backend.js';

async function expectWorks(backend: ReturnType<typeof testedBackend>): Promise<void> {
  const f = compile((x: Tensor) => square(x), { backend });
  expect((await read(f(scalar(3)))).data[0]).toBe(9);
}

test('a backend may be disposed of twice at once, and started while it ends', async () => {
  const backend = testedBackend();
  await backend.init();
  const ends = [backend.dispose(), backend.dispose()];
  const starts = backend.init();
  await Promise.all(ends);
  await starts;
  await expectWorks(backend);
  await backend.dispose();
  await backend.dispose();
});

test('a backend starts while another ends', async () => {
  const [one, other] = [testedBackend(), testedBackend()];
  await one.init();
  await Promise.all([one.dispose(), other.init()]);
  await expectWorks(other);
  await other.dispose();
});
