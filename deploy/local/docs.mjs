/**
 * `npm run docs`: writes the reference of job documents and their JSON Schema from the components
 * themselves. `--check` writes nothing and fails when what is committed is not what they say.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { fail, localDir, root, say } from './platform.mjs';

const folder = 'shared/definitions/reference';
const check = process.argv.includes('--check');

/** Node 20 cannot load TypeScript, so the two modules are bundled first. */
async function load() {
  const out = join(localDir, 'tools', `docs-${process.pid}.mjs`);
  mkdirSync(join(localDir, 'tools'), { recursive: true });
  const entry = join(root, 'shared/definitions/reference-text.ts');
  const schema = join(root, 'shared/definitions/job-json-schema.ts');
  const build = await rolldown({
    cwd: root,
    input: 'docs',
    platform: 'node',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === 'docs' ? id : undefined),
        load: (id) =>
          id === 'docs'
            ? `export * from ${JSON.stringify(entry)}; export * from ${JSON.stringify(schema)};`
            : undefined,
      },
    ],
  });
  await build.write({ file: out, format: 'esm' });
  await build.close();
  try {
    return await import(pathToFileURL(out).href);
  } finally {
    rmSync(out);
  }
}

function committed(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const { jobJsonSchema, referenceText } = await load();
const files = {
  'job.schema.json': `${JSON.stringify(jobJsonSchema(), undefined, 2)}\n`,
  'REFERENCE.md': referenceText(),
};
mkdirSync(join(root, folder), { recursive: true });
const stale = Object.entries(files).filter(
  ([name, text]) => committed(join(root, folder, name)) !== text,
);
if (check) {
  if (stale.length > 0) {
    fail(`${stale.map(([name]) => `${folder}/${name}`).join(', ')} is stale; run: npm run docs`);
  }
  say('the reference says what the code says');
} else {
  for (const [name, text] of stale) writeFileSync(join(root, folder, name), text);
  say(stale.length === 0 ? 'nothing changed' : `wrote ${stale.map(([name]) => name).join(', ')}`);
}
