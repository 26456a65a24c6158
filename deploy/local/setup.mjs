/**
 * `npm run setup`: everything a fresh clone needs, again and again without harm.
 *
 *   1. dependencies (`npm ci`, no install scripts)
 *   2. build of agent, control plane and page
 *   3. nats-server (found, or fetched into the project's cache)
 *   4. with `--test`: the programs that tests use, when root on Debian or Ubuntu
 *
 * Each step is skipped when its input has not changed since it was last done.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fail, hashOf, npm, root, run, say, stampIs, writeStamp } from './platform.mjs';

const NODE_MIN = [20, 19];
const SOURCES = ['agent', 'control-plane', 'shared', 'deploy/local/build.mjs', 'package-lock.json'];

/** Debian's package → the program that shows that it is there. */
const TEST_PACKAGES = {
  mosquitto: 'mosquitto',
  chromium: 'chromium',
  strace: 'strace',
  postgresql: 'pg_ctlcluster',
  'fonts-dejavu-core': undefined,
  'xz-utils': 'xz',
  curl: 'curl',
  debootstrap: 'debootstrap',
  'qemu-user-static': 'qemu-aarch64-static',
};

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  fail(`Runnel needs Node ${NODE_MIN.join('.')} or newer; this is ${process.versions.node}.`);
}

async function installDependencies() {
  const wanted = hashOf(['package-lock.json', 'package.json']);
  if (existsSync(join(root, 'node_modules')) && stampIs('dependencies', wanted)) return;
  say('installing dependencies …');
  const flags = [
    '--no-audit',
    '--no-fund',
    '--include=dev',
    '--ignore-scripts',
    '--loglevel=error',
  ];
  const code = await npm(['ci', ...flags]);
  if (code !== 0) fail('npm ci failed; see above. Is the npm registry reachable?');
  writeStamp('dependencies', wanted);
}

async function build() {
  const wanted = hashOf(SOURCES);
  const built = existsSync(join(root, 'agent/dist/runnel-agent.js'));
  if (built && stampIs('build', wanted)) return;
  say('building …');
  const code = await run(process.execPath, [join(root, 'deploy/local/build.mjs')]);
  if (code !== 0) fail('the build failed; see above');
  writeStamp('build', wanted);
}

/** Finds or fetches nats-server now, so that nothing has to be fetched later. */
function provideNatsServer() {
  const control = join(root, 'control-plane/bin/runnel-control.js');
  const found = spawnSync(process.execPath, [control, 'nats-server'], { encoding: 'utf8' });
  if (found.status === 0) return;
  process.stderr.write(`${found.stdout}${found.stderr}`);
  fail('no nats-server could be had; the lines above say what was tried');
}

function hasProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.some((folder) => existsSync(join(folder, name)));
}

function isDebian() {
  if (!existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}

function provideTestPrograms() {
  const missing = Object.entries(TEST_PACKAGES)
    .filter(([, program]) => program !== undefined && !hasProgram(program))
    .map(([name]) => name);
  if (missing.length === 0) return;
  const line = `apt-get install -y --no-install-recommends ${Object.keys(TEST_PACKAGES).join(' ')}`;
  if (process.getuid?.() !== 0 || !isDebian()) {
    say(`tests that need ${missing.join(', ')} will be skipped; to have them: ${line}`);
    return;
  }
  say(`installing what the tests need: ${line}`);
  const options = {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  };
  try {
    execFileSync('apt-get', ['update', '-qq'], options);
    execFileSync('apt-get', line.split(' ').slice(1), options);
  } catch (error) {
    say(`apt-get failed (${error.message}); tests that need ${missing.join(', ')} are skipped`);
  }
}

checkNode();
await installDependencies();
await build();
provideNatsServer();
if (process.argv.includes('--test')) provideTestPrograms();
