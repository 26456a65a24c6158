/**
 * Bundles the two packages with rolldown and the page with Vite. Bundled because an edge device
 * pays for every module it resolves: start-up and idle memory are budgets (DESIGN.md §12).
 *
 * Native packages (lmdb, libsql, DuckDB) stay outside: they load their prebuilt binary from node_modules.
 */
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { build as viteBuild } from 'vite';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

const packages = [
  {
    folder: 'agent',
    input: {
      'runnel-agent': 'agent/cli/main.ts',
      'verify-store': 'agent/checkpoints/verify-store.ts',
      'task-child': 'agent/batch/child/task-child.ts',
    },
    external: ['lmdb', 'libsql', '@duckdb/node-api', 'pg-native'],
  },
  {
    folder: 'control-plane',
    input: {
      'runnel-control': 'control-plane/server-cli.ts',
      runnel: 'control-plane/cli/main.ts',
    },
    external: ['libsql'],
  },
];

/** CommonJS dependencies inside an ES module bundle still call `require`. */
const banner =
  "import { createRequire as __createRequire } from 'node:module';" +
  ' const require = __createRequire(import.meta.url);';

/**
 * The agent's text stays in memory as long as it runs. Comments and spaces go, names stay so that
 * stack traces can be read; and text outside Latin-1 is escaped, because one such character makes
 * V8 keep the whole file with two bytes for each.
 */
const small = {
  compress: false,
  mangle: false,
  codegen: { removeWhitespace: true, legalComments: 'none' },
};

const ascii = {
  name: 'ascii',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue;
      chunk.code = chunk.code.replace(/[^\n -~\t]/g, (unit) => {
        return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
      });
    }
  },
};

async function bundle({ folder, input, external }) {
  const started = performance.now();
  const present = Object.fromEntries(
    Object.entries(input).filter(([, file]) => existsSync(join(root, file))),
  );
  const dir = join(root, folder, 'dist');
  for (const name of Object.keys(input)) rmSync(join(dir, `${name}.js`), { force: true });
  rmSync(join(dir, 'chunks'), { recursive: true, force: true });
  const build = await rolldown({
    cwd: root,
    input: present,
    platform: 'node',
    external: [...external, /^node:/],
    onwarn(warning, warn) {
      if (warning.code !== 'EVAL' && warning.code !== 'CIRCULAR_DEPENDENCY') warn(warning);
    },
  });
  await build.write({
    dir,
    format: 'esm',
    banner,
    ...(folder === 'agent' ? { minify: small, plugins: [ascii] } : {}),
    sourcemap: false,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
  });
  await build.close();
  console.log(`built ${folder} in ${Math.round(performance.now() - started)} ms`);
}

async function buildDashboard() {
  const started = performance.now();
  await viteBuild({
    configFile: join(root, 'control-plane/dashboard/vite.config.ts'),
    logLevel: 'warn',
  });
  console.log(`built dashboard in ${Math.round(performance.now() - started)} ms`);
}

/** `node build.mjs [agent|control-plane|dashboard …]`; without a name, everything. */
const wanted = process.argv.slice(2);
const wants = (name) => wanted.length === 0 || wanted.includes(name);
for (const entry of packages) if (wants(entry.folder)) await bundle(entry);
if (wants('dashboard')) await buildDashboard();
