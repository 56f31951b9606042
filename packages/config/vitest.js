import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { viteTfjsGradients } from './tfjs-gradients.js';

/** The one vitest configuration of the workspace; see vitest.d.ts. */
export function workspace(root, further = []) {
  const conditions = (host) => ['@tenon-ml/source', 'module', host, 'import', 'default'];
  const members = ['packages', 'apps'].flatMap((group) =>
    readdirSync(join(root, group))
      .filter((name) => existsSync(join(root, group, name, 'package.json')))
      .map((name) => ({ name, root: join(root, group, name), include: ['test/**/*.test.ts'] })),
  );
  members.push(
    {
      name: 'tests',
      root: join(root, 'tests'),
      include: ['**/*.test.ts'],
      exclude: ['readme/**', 'backends/webgpu/**', 'browser/**', 'cuda/**', 'webgpu_f16/**'],
    },
    { name: 'readme', root: join(root, 'tests/readme'), include: ['**/*.test.ts'] },
  );
  return {
    plugins: [viteTfjsGradients(join(root, 'packages/core'))],
    // Of tests in browsers, and of those in Node.
    resolve: { conditions: conditions('browser') },
    ssr: { resolve: { conditions: conditions('node') } },
    test: {
      passWithNoTests: true,
      testTimeout: 30_000,
      hookTimeout: 30_000,
      projects: [
        ...members.map((member) => ({
          extends: true,
          test: { ...member, exclude: ['**/node_modules/**', '**/dist/**', ...(member.exclude ?? [])] },
        })),
        ...further,
      ],
    },
  };
}
