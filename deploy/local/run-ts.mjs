/**
 * `node run-ts.mjs FILE.ts [args]`: bundles a TypeScript tool of the repository and runs it, since
 * Node 20 cannot load TypeScript. Packages stay outside of the bundle.
 */
import { mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { localDir, root } from './platform.mjs';

const [, , file, ...args] = process.argv;
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
process.argv = [process.argv[0], out, ...args];
await import(pathToFileURL(out).href);
