import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { viteTfjsGradients } from '@tenon-ml/config/vite';
import { defaultClientConditions, defineConfig } from 'vite';
import { offline } from './build/offline.js';

/** Cross-origin isolated, so that an engine with threads may share its memory; nothing is loaded from elsewhere. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

const gradients = () => viteTfjsGradients(join(import.meta.dirname, '../../packages/core'));

export default defineConfig({
  // Any folder of any host: paths are relative.
  base: './',
  plugins: [gradients(), svelte(), offline()],
  // The packages are built from source, as everything else in the repository runs.
  resolve: { conditions: ['@tenon-ml/source', ...defaultClientConditions] },
  worker: { format: 'es', plugins: () => [gradients()] },
  build: { target: 'es2022', chunkSizeWarningLimit: 1500, sourcemap: false },
  server: { headers },
  preview: { headers },
});
