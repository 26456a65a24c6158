/**
 * Builds the page into `control-plane/dist/dashboard`, where the control plane serves it.
 * Everything is bundled into files of its own origin and nothing is inlined, so that the strict
 * Content-Security-Policy of the server (`default-src 'self'`) holds without exceptions.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = dirname(fileURLToPath(import.meta.url));

export default defineConfig({
  root: here,
  base: '/',
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: { alias: { '@runnel/shared': join(here, '../../shared') } },
  build: {
    outDir: join(here, '../dist/dashboard'),
    emptyOutDir: true,
    target: 'es2022',
    // A data: URI would need an exception in the policy, and the preload helper is dead weight.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
