/**
 * `npm run verify` (which is `npm test`): what CI runs, exactly. Every step runs even when an
 * earlier one failed, so that one run shows all that is wrong. The last line is the runner's own
 * count: `N passed, N failed, N skipped`.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { localDir, npm, root, run, say } from './platform.mjs';

const report = join(localDir, 'verify', 'vitest.json');
const failures = [];

async function step(name, work) {
  say(`\n— ${name}`);
  const started = performance.now();
  const code = await work();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (code !== 0) failures.push(name);
  say(`— ${name}: ${code === 0 ? 'ok' : 'FAILED'} (${seconds} s)`);
}

function tests() {
  mkdirSync(join(localDir, 'verify'), { recursive: true });
  rmSync(report, { force: true });
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return run(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args]);
}

/** Every example job is validated, and its tests are run on the device's own code. */
async function examples() {
  const folder = join(root, 'deploy/examples');
  const jobs = readdirSync(folder).filter((file) => /^(?!.*\.test\.)[\w-]+\.yaml$/.test(file));
  let worst = 0;
  for (const job of jobs) {
    const file = join(folder, job);
    worst ||= await run(process.execPath, [
      join(root, 'control-plane/bin/runnel.js'),
      'validate',
      '-f',
      file,
    ]);
    if (!existsSync(file.replace(/\.yaml$/, '.test.yaml'))) continue;
    worst ||= await run(process.execPath, [join(root, 'agent/bin/runnel-agent.js'), 'test', file]);
  }
  return jobs.length === 0 ? 1 : worst;
}

/** The closing line, from the runner's report; a run that reported nothing has failed. */
function summary() {
  if (!existsSync(report)) return '0 passed, 1 failed, 0 skipped';
  const counts = JSON.parse(readFileSync(report, 'utf8'));
  if (counts.numTotalTests === 0) failures.push('tests (none ran)');
  const failed = Math.max(counts.numFailedTests, failures.length > 0 ? 1 : 0);
  const skipped = counts.numPendingTests + counts.numTodoTests;
  return `${counts.numPassedTests} passed, ${failed} failed, ${skipped} skipped`;
}

const setup = await run(process.execPath, [join(root, 'deploy/local/setup.mjs'), '--test']);
if (setup !== 0) {
  say('set-up failed');
  say('0 passed, 1 failed, 0 skipped');
  process.exit(1);
}
await step('format', () => npm(['run', '--silent', 'format:check']));
await step('lint', () => npm(['run', '--silent', 'lint']));
await step('types', () => npm(['run', '--silent', 'types']));
await step('generated docs', () => npm(['run', '--silent', 'docs:check']));
await step('example jobs', examples);
await step('tests', tests);
const line = summary();
if (failures.length > 0) say(`\nfailed: ${failures.join(', ')}`);
say(line);
process.exit(failures.length > 0 ? 1 : 0);
