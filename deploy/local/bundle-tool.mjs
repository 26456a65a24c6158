/**
 * Bundles a TypeScript tool of the repository (a benchmark, a test's own composition root) into
 * `.runnel/tools`, since Node 20 cannot load TypeScript. Packages stay outside of the bundle.
 */
import { mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { localDir, root } from './platform.mjs';

/** Returns the bundle's path: one a tool and process, so that two runs do not disturb each other. */
export async function bundleTool(file) {
  const outDir = join(localDir, 'tools');
  mkdirSync(outDir, { recursive: true });
  const out = join(outDir, `${basename(file, '.ts')}-${process.pid}.mjs`);
  const build = await rolldown({
    cwd: root,
    input: resolve(file),
    platform: 'node',
    external: (id) => !/^[./]/.test(id) && !id.startsWith('@runnel/') && !id.startsWith(root),
    transform: { define: { 'import.meta.dirname': JSON.stringify(join(root, 'test/support')) } },
  });
  await build.write({ file: out, format: 'esm', codeSplitting: false });
  await build.close();
  return out;
}
