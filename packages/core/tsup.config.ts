import { esbuildTfjsGradients, library } from '@tenon-ml/config/tsup';

export default [
  library({
    entry: ['src/index.ts', 'src/errors.ts', 'src/node/index.ts', 'src/browser/index.ts'],
    keep: ['src/gradients.ts'],
  }),
  // Apart, and under a name of its own, so that `sideEffects` can name the file that registers gradients.
  library({
    entry: ['src/gradients.ts'],
    first: false,
    bundle: [/^@tensorflow\/tfjs-core\/dist\//],
    plugins: [esbuildTfjsGradients(import.meta.dirname)],
  }),
];
