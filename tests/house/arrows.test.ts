import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkArrows } from '../../scripts/check-arrows.mjs';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tenon-arrows-'));
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

/** A workspace in which every arrow points the right way, with the given files over it. */
async function check(files: Record<string, string>): Promise<string[]> {
  const manifest = (name: string, dependencies: string[] = []) =>
    JSON.stringify({
      name: `@tenon-ml/${name}`,
      exports: {
        '.': { '@tenon-ml/source': './src/index.ts' },
        './node': { '@tenon-ml/source': './src/node.ts' },
      },
      dependencies: Object.fromEntries(dependencies.map((to) => [`@tenon-ml/${to}`, 'workspace:*'])),
      ...(name === 'data' ? {} : { peerDependencies: { '@tensorflow/tfjs-core': 'catalog:' } }),
    });
  const all: Record<string, string> = {
    'packages/core/package.json': manifest('core'),
    'packages/core/src/index.ts': "import type { Stats } from 'node:fs';\nexport type S = Stats;\n",
    'packages/core/src/node.ts': "export { readFileSync } from 'node:fs';\n",
    'packages/data/package.json': manifest('data', ['core']),
    'packages/data/src/index.ts': "export { tree } from '@tenon-ml/core';\n",
    'packages/layers/package.json': manifest('layers', ['core']),
    'packages/layers/src/index.ts': "import { add } from '@tensorflow/tfjs-core';\nexport { add };\n",
    'packages/losses/package.json': manifest('losses', ['core']),
    'packages/losses/src/index.ts': 'export {};\n',
    'packages/backend-wasm/package.json': manifest('backend-wasm', ['core']),
    'packages/backend-wasm/src/index.ts': 'export {};\n',
    'packages/train/package.json': manifest('train', ['core', 'data']),
    'packages/train/src/index.ts': "export { tree } from '@tenon-ml/core';\n",
    'packages/testkit/package.json': manifest('testkit', ['core']),
    'packages/testkit/src/index.ts': 'export {};\n',
    'apps/cli/package.json': manifest('cli', ['layers', 'backend-wasm']),
    'apps/cli/src/index.ts': "import '@tenon-ml/backend-wasm';\n",
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return checkArrows(root);
}

describe('check:arrows', () => {
  it('passes a workspace whose arrows are right', async () => {
    expect(await check({})).toEqual([]);
  });

  it.each([
    [
      'an arrow between families',
      { 'packages/layers/src/a.ts': "import { mse } from '@tenon-ml/losses';\n" },
    ],
    [
      'an arrow of types only',
      { 'packages/layers/src/a.ts': "import type { Mse } from '@tenon-ml/losses';\n" },
    ],
    [
      'a dynamic import',
      { 'packages/layers/src/a.ts': "export const a = () => import('@tenon-ml/losses');\n" },
    ],
    ['a re-export', { 'packages/layers/src/a.ts': "export * from '@tenon-ml/losses';\n" }],
  ])('catches %s', async (_, files) => {
    const problems = await check(files);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(
      'packages/layers/src/a.ts:1: imports @tenon-ml/losses: layers may depend on core only.',
    );
  });

  it('catches an arrow out of core', async () => {
    const problems = await check({ 'packages/core/src/b.ts': "\nexport * from '@tenon-ml/data';\n" });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(
      'packages/core/src/b.ts:2: imports @tenon-ml/data: core depends on no package of ours.',
    );
  });

  it('catches a backend that train reaches for', async () => {
    const problems = await check({ 'packages/train/src/b.ts': "import '@tenon-ml/backend-wasm';\n" });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('train may depend on core and data only.');
  });

  it('catches a wrong arrow in a manifest that no import uses yet', async () => {
    const problems = await check({
      'packages/losses/package.json': JSON.stringify({
        name: '@tenon-ml/losses',
        dependencies: { '@tenon-ml/layers': 'workspace:*' },
      }),
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(
      'packages/losses/package.json: dependencies.@tenon-ml/layers: losses may depend on core',
    );
  });

  it('catches a range where an exact version belongs', async () => {
    const problems = await check({
      'packages/losses/package.json': JSON.stringify({
        name: '@tenon-ml/losses',
        dependencies: { fflate: '^0.8.3' },
      }),
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('dependencies.fflate is ^0.8.3: write an exact version, or catalog:.');
  });

  it('catches tensors in data', async () => {
    const problems = await check({
      'packages/data/src/a.ts': "import type { Tensor } from '@tensorflow/tfjs-core';\n",
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(
      'packages/data/src/a.ts:1: imports @tensorflow/tfjs-core: data holds no tensors.',
    );
  });

  it('catches a relative import into another package', async () => {
    const problems = await check({
      'packages/layers/src/a.ts': "export * from '../../core/src/index.js';\n",
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('a relative import may not leave src');
  });

  it('catches product code that leans on the testkit', async () => {
    const problems = await check({ 'packages/layers/src/a.ts': "import '@tenon-ml/testkit';\n" });
    expect(problems).toHaveLength(1);
  });

  it('catches a dependency that the manifest leaves out', async () => {
    const problems = await check({ 'packages/layers/src/a.ts': "import 'fflate';\n" });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain("package.json doesn't list fflate");
  });

  it("catches Node's modules behind a neutral entry, and says how it gets there", async () => {
    const problems = await check({
      'packages/core/src/index.ts': "export * from './a.js';\n",
      'packages/core/src/a.ts': "import { readFileSync } from 'node:fs';\nexport { readFileSync };\n",
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(
      'packages/core/src/a.ts:1: imports node:fs, but the neutral entry . reaches it (index.ts -> a.ts).',
    );
  });

  it("catches Node's modules behind the entry for browsers", async () => {
    const problems = await check({
      'packages/losses/package.json': JSON.stringify({
        name: '@tenon-ml/losses',
        exports: { './browser': { '@tenon-ml/source': './src/browser.ts' } },
      }),
      'packages/losses/src/browser.ts': "export { readFileSync } from 'node:fs';\n",
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('imports node:fs, but the neutral entry ./browser reaches it');
  });
});
