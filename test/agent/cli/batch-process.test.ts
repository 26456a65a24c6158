/** The program itself with a batch job: signals, exit codes, and what is on which stream. */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { bundleTool, repository } from '../../support/processes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { jobFile } from './batch-world.ts';

let program: string;
let operators: string;
beforeAll(() => {
  program = bundleTool('agent/cli/main.ts');
  operators = operatorsProgram();
});

/** The operators' command line, bundled where it finds its packages and its version. */
function operatorsProgram(): string {
  const home = join(repository, `node_modules/.cache/runnel-test/operators-${process.pid}`);
  mkdirSync(join(home, 'dist'), { recursive: true });
  copyFileSync(bundleTool('control-plane/cli/main.ts'), join(home, 'dist/runnel.mjs'));
  writeFileSync(join(home, 'package.json'), '{ "version": "0.0.0" }');
  return join(home, 'dist/runnel.mjs');
}

/** A program of the name that `runnel` hands over to with its own Node. */
function launcher(): string {
  const file = join(tempDir('launcher'), 'agent.js');
  writeFileSync(file, `import(${JSON.stringify(pathToFileURL(program).href)});`);
  return file;
}

/** Runs it; `signals` are sent one after the other, each when its file is there. */
async function run(args: readonly string[], signals: readonly string[] = [], entry = program) {
  const scratch = tempDir('tmp');
  const env = { ...process.env, TMPDIR: scratch, RUNNEL_AGENT: launcher() };
  const child = spawn(process.execPath, [entry, 'dry-run', ...args], { env });
  onTestFinished(() => void child.kill('SIGKILL'));
  const text = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (text.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text.err += chunk.toString()));
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  for (const file of signals) {
    await waitFor(`${file} to be there`, () => existsSync(file));
    child.kill('SIGINT');
  }
  return { code: await exited, ...text, left: readdirSync(scratch) };
}

it('exit codes: 0 success, 1 failure, 2 a wrong document; and nothing is left behind', async () => {
  const good = jobFile('tasks: [{ id: t, command: { run: [/bin/echo, hi] } }]');
  const bad = jobFile('tasks: [{ id: t, command: { run: [/bin/false] } }]');
  const wrong = jobFile('tasks: [{ id: t, comand: { run: [/bin/false] } }]');
  const flags = ['--execute', '--output', 'jsonl'];
  const success = await run([good, ...flags]);
  expect([success.code, success.err, success.left]).toEqual([0, '', []]);
  expect(success.out.split('\n')).toHaveLength(3);
  const failure = await run([bad, ...flags]);
  expect([failure.code, failure.left]).toEqual([1, []]);
  const refused = await run([wrong, ...flags]);
  expect([refused.code, refused.out]).toEqual([2, '']);
  expect(refused.err).toContain('comand');
});

it('one SIGINT cancels and teardown tasks run; a second one ends those too', async () => {
  const dir = tempDir('signals');
  const touch = (name: string): string => `touch ${join(dir, name)}; sleep 60`;
  const job = jobFile(`
tasks:
  - { id: setup, value: { value: 1 } }
  - { id: work, needs: setup, command: { run: [/bin/sh, -c, "${touch('work')}"] } }
  - id: clean
    needs: [setup, work]
    teardown: [setup]
    command: { run: [/bin/sh, -c, "${touch('clean')}"] }`);
  const flags = ['--execute', '--output', 'jsonl'];
  const ran = await run([job, ...flags], [join(dir, 'work'), join(dir, 'clean')]);
  const lines = ran.out.trim().split('\n');
  const parsed = lines.map((line) => JSON.parse(line) as { task?: string; state?: string });
  expect(parsed.slice(0, 3).map(({ task, state }) => [task, state])).toEqual([
    ['setup', 'success'],
    ['work', 'cancelled'],
    ['clean', 'cancelled'],
  ]);
  expect(lines.at(-1)).toMatch(/"state":"cancelled"/);
  expect(ran.err).toContain('cancelling');
  expect([ran.code, ran.left]).toEqual([1, []]);
});

it("a signal to runnel is the agent's, and so is the exit code", async () => {
  const started = join(tempDir('signals'), 'started');
  const job = jobFile(`
tasks:
  - { id: work, command: { run: [/bin/sh, -c, "touch ${started}; sleep 60"] } }`);
  const ran = await run([job, '--execute', '--output', 'jsonl'], [started], operators);
  expect(ran.out).toMatch(/"state":"cancelled".*\n{"run":.*"cancelled"}}\n$/);
  expect([ran.code, ran.left]).toEqual([1, []]);
});

it('the help of the command has both kinds of jobs', async () => {
  const { code, out } = await run(['--help']);
  expect(code).toBe(0);
  expect(out).toContain('--execute');
  expect(out).toContain('runnel dry-run nightly.yaml --at');
});
