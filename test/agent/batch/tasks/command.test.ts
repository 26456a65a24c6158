/** Real programs: bounds, process groups that must not outlive their attempt, outputs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { endOrphans } from '@runnel/agent/batch/io/command-group.ts';
import { searchGroup } from '@runnel/agent/batch/io/group-search.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import { taskContract } from '../../../contracts/task-contract.ts';
import { bundleTool } from '../../../support/processes.ts';
import { type ContextOptions, taskSite, type TaskSite } from '../../../support/task-context.ts';
import { waitFor } from '../../../support/wait-for.ts';

const SH = '/bin/sh';

function siteFor(): TaskSite {
  const site = taskSite();
  site.policy = { commands: [SH, process.execPath, '/bin/nowhere'] };
  return site;
}

const program = (site: TaskSite, command: unknown) =>
  site.program({ tasks: [{ id: 't', command }] });
const attempt = (site: TaskSite, command: unknown, options?: ContextOptions) =>
  site.attempt(program(site, command), 't', options);
const failure = (site: TaskSite, command: unknown, options?: ContextOptions) =>
  site.failure(program(site, command), 't', options);
const sh = (script: string, more: object = {}) => ({ run: [SH, '-c', script], ...more });
const node = (script: string, more: object = {}) => ({
  run: [process.execPath, '-e', script],
  ...more,
});

/** Ignores SIGTERM in itself and in a grandchild, and says both pids. */
const STUBBORN = [
  "trap '' TERM",
  `sh -c "trap '' TERM; while :; do sleep 1; done" & echo "$! $$" > pids`,
  'wait',
].join('\n');

function pidsIn(file: string): number[] | undefined {
  try {
    const pids = readFileSync(file, 'utf8').trim().split(/\s+/).map(Number);
    return pids.length === 2 ? pids : undefined;
  } catch {
    return undefined; // It is not there yet.
  }
}

/** A zombie has ended; nobody may have taken note of it. */
function isGone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return true; // No such process.
  }
}

taskContract({
  kind: 'command',
  async setup(site) {
    site.policy = { commands: [SH] };
    const command = sh('echo "{\\"key\\": \\"$RUNNEL_EFFECT_KEY\\"}"', { output: 'jsonl' });
    return { program: site.program({ tasks: [{ id: 't', command }] }), task: 't', effects: null };
  },
  async endless(site) {
    site.policy = { commands: [SH] };
    const command = sh('while :; do sleep 1; done');
    return { program: site.program({ tasks: [{ id: 't', command }] }), task: 't' };
  },
});

describe('a command', () => {
  it('gets its arguments as they are, whatever is in them', async () => {
    const args = ['$HOME', '; echo no', '`id`', "a'b", 'line\nfeed', '{{ partition.date }}'];
    const command = {
      run: [process.execPath, '-e', 'console.log(JSON.stringify(process.argv.slice(1)))', ...args],
      output: 'json',
    };
    const { success } = await attempt(siteFor(), command);
    const value = [...args.slice(0, -1), '2026-11-22'];
    expect(success.output).toMatchObject({ code: 0, value });
  });

  it('gives text, a value, or rows', async () => {
    const site = siteFor();
    const text = await attempt(site, sh('echo hello'));
    expect(text.success.output).toEqual({ code: 0, bytes: 6, value: 'hello' });
    const lines = sh('echo "{\\"a\\":1}"; echo; echo "{\\"a\\":2}"', { output: 'jsonl' });
    const rows = await attempt(site, lines);
    expect(rows.success.output).toMatchObject({ rowCount: 2, columns: ['a'] });
    expect(await site.rows(rows.success.table)).toEqual([{ a: 1 }, { a: 2 }]);
    const bad = await failure(site, sh('echo {', { output: 'json' }));
    expect(bad).toMatchObject({ class: 'data', code: 'bad_json' });
  });

  it('shows no output beyond its bound, and does not fail over it', async () => {
    const { success } = await attempt(siteFor(), node('console.log("x".repeat(50000))'));
    expect(success.output).toEqual({ code: 0, bytes: 50_001, value: null, truncated: true });
  });

  it('reads stdin, and may leave it', async () => {
    const { success } = await attempt(siteFor(), sh('cat', { stdin: 'a {{ 1 + 1 }}' }));
    expect(success.output).toMatchObject({ value: 'a 2' });
    await attempt(siteFor(), sh('exit 0', { stdin: 'x'.repeat(200_000) }));
  });

  it('has only the environment that it is given', async () => {
    process.env.RUNNEL_SECRET_LEAK = 'leaked';
    const site = siteFor();
    site.env = { RUNNEL_SECRET_K: 'geheim' };
    site.policy = { ...site.policy, commandEnv: ['LINE', 'KEY'] };
    const env = { LINE: 3, KEY: { env: 'RUNNEL_SECRET_K' } };
    const { success } = await attempt(site, sh('env | cut -d= -f1; echo "$LINE$KEY"', { env }));
    delete process.env.RUNNEL_SECRET_LEAK;
    const { value } = success.output as { value: string };
    expect(value).toContain('3geheim');
    expect(value).not.toContain('RUNNEL_SECRET');
    expect(value.split('\n')).toContain('RUNNEL_EFFECT_KEY');
  });

  it('fails with its code, its signal, and what it said last', async () => {
    const site = siteFor();
    const code = await failure(site, sh('echo "disk is gone" >&2; exit 3'));
    expect(code).toMatchObject({ class: 'process', code: 'command_code', fields: { code: 3 } });
    expect(code.message).toContain('disk is gone');
    expect(await failure(site, sh('kill -9 $$'))).toMatchObject({ code: 'command_signal' });
    expect((await attempt(site, sh('exit 3', { codes: [0, 3] }))).success.output).toMatchObject({
      code: 3,
    });
    const missing = await failure(site, { run: ['/bin/nowhere'] });
    expect(missing).toMatchObject({ class: 'process', code: 'command_start' });
  });

  it('writes its stderr into the log of the run', async () => {
    const { context } = await attempt(siteFor(), sh('echo one >&2; printf two >&2'));
    expect(context.lines).toContain('warn stderr: one');
    expect(context.lines).toContain('warn stderr: two');
  });
});

describe('policy of a command', () => {
  it('runs only programs that policy.yaml names', async () => {
    const site = taskSite();
    expect(await failure(site, sh('true'))).toMatchObject({ class: 'policy' });
    site.policy = { commands: ['/bin/true'] };
    expect(await failure(site, sh('true'))).toMatchObject({ class: 'policy' });
  });

  it('lets a job set no variable that makes an allowed program run other code', async () => {
    const site = siteFor();
    const script = join(site.dataDir, 'safe.sh');
    const planted = join(site.dataDir, 'planted');
    writeFileSync(script, '#!/bin/bash\nexit 0\n', { mode: 0o755 });
    site.policy = { commands: [script] };
    const command = { run: [script], env: { BASH_ENV: `$(touch ${planted})` } };
    expect(await failure(site, command)).toMatchObject({ class: 'policy', code: 'policy_refused' });
    expect(existsSync(planted)).toBe(false);
    const own = { run: [script], env: { RUNNEL_LINE: 3 } };
    expect((await attempt(site, own)).success.output).toMatchObject({ code: 0 });
  });

  it('judges arguments as they are when the attempt begins', async () => {
    const site = taskSite();
    site.policy = { commands: [{ run: ['/bin/echo', 'of', '*'] }] };
    const echo = (text: string) => ({ run: ['/bin/echo', 'of', text] });
    const { success } = await attempt(site, echo('{{ partition.date }}'));
    expect(success.output).toMatchObject({ value: 'of 2026-11-22' });
    const option = await failure(site, echo('{{ "-" + partition.date }}'));
    expect(option).toMatchObject({ class: 'policy' });
  });

  it('judges the working directory; without one it is an empty one that goes', async () => {
    const site = siteFor();
    expect(await failure(site, sh('pwd', { cwd: '/etc' }))).toMatchObject({ class: 'policy' });
    const { success, context } = await attempt(site, sh('ls -A | wc -l; pwd'));
    const { value } = success.output as { value: string };
    expect(value).toMatch(/^\s*0\n/);
    expect(value).toContain(context.scratchDir);
  });
});

describe('what a command may take', () => {
  it('is killed beyond its memory, counted over all that it started', async () => {
    const eat =
      'const held = []; setInterval(() => held.push(Buffer.alloc(8e6, 1)), 10); ' +
      'setTimeout(() => process.exit(0), 20000)';
    const script = `"${process.execPath}" -e '${eat}' & wait`;
    const error = await failure(siteFor(), sh(script, { memory: '100MiB' }));
    expect(error).toMatchObject({ class: 'resources', code: 'command_memory' });
  });

  it('is killed beyond its memory also by what left its group and its parent', async () => {
    const site = siteFor();
    const eat =
      'require("fs").writeFileSync("pids", process.pid + " " + process.pid + "\\n"); ' +
      'const held = []; setInterval(() => held.push(Buffer.alloc(8e6, 1)), 10); ' +
      'setTimeout(() => process.exit(0), 20000)';
    const script = `(setsid "${process.execPath}" -e '${eat}' > /dev/null 2>&1 &) ; exec sleep 15`;
    const command = sh(script, { memory: '100MiB', cwd: site.dataDir });
    expect(await failure(site, command)).toMatchObject({ code: 'command_memory' });
    expect(pidsIn(join(site.dataDir, 'pids'))?.map(isGone)).toEqual([true, true]);
  });

  it('is killed beyond its output', async () => {
    const error = await failure(siteFor(), sh('yes', { outputMax: '100KiB' }));
    expect(error).toMatchObject({ class: 'resources', code: 'command_output' });
  });
});

describe('the process group of a command', () => {
  it.each(['timeout', 'cancel'])('is gone after a %s, whoever ignores SIGTERM', async (why) => {
    const site = siteFor();
    const control = new AbortController();
    const command = sh(STUBBORN, { cwd: site.dataDir });
    const ended = failure(site, command, { signal: control.signal });
    const pids = await waitFor('both pids', () => pidsIn(join(site.dataDir, 'pids')));
    control.abort(new TaskError('timeout', why, 'enough'));
    expect((await ended).code).toBe(why);
    expect(pids.map(isGone)).toEqual([true, true]);
  });

  it('is gone after an ordinary end, what it left in the background included', async () => {
    const site = siteFor();
    const script = 'sleep 600 & echo "$! $!" > pids';
    await attempt(site, sh(script, { cwd: site.dataDir }));
    expect(pidsIn(join(site.dataDir, 'pids'))?.map(isGone)).toEqual([true, true]);
  });

  it('is gone with those that left it for a session of their own', async () => {
    const site = siteFor();
    const script = 'setsid sleep 600 > /dev/null 2>&1 & echo "$! $!" > pids';
    await attempt(site, sh(script, { cwd: site.dataDir }));
    const [pid = 0] = pidsIn(join(site.dataDir, 'pids')) ?? [];
    await waitFor('its end', () => isGone(pid), 2000);
  });

  it('that an agent left behind when it was killed is ended at the next start', async () => {
    const site = siteFor();
    const scratch = join(site.dataDir, 'batch', 'scratch');
    const worker = bundleTool('test/agent/batch/tasks/command-worker.ts');
    const agent: ChildProcess = spawn(process.execPath, [worker, site.dataDir, STUBBORN], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const pids = await waitFor('both pids', () => pidsIn(join(site.dataDir, 'pids')));
    const died = new Promise((resolve) => agent.once('exit', resolve));
    agent.kill('SIGKILL');
    await died;
    expect(pids.map(isGone)).toEqual([false, false]);
    expect(await endOrphans(scratch, systemClock)).toBe(1);
    expect(pids.map(isGone)).toEqual([true, true]);
    expect(await endOrphans(scratch, systemClock)).toBe(0);
  });

  it('of another with the same number is left alone', async () => {
    const site = siteFor();
    const other = spawn('/bin/sleep', ['600'], { detached: true, stdio: 'ignore' });
    const { pid: pgid = 0 } = other;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const record = { v: 1, pgid, mark: 'none', startTicks: '1', boot };
    writeFileSync(join(site.dataDir, 'command-group.json'), JSON.stringify(record));
    expect(await endOrphans(site.dataDir, systemClock)).toBe(0);
    expect(await searchGroup({ pgid, mark: 'none' })).toEqual([pgid]);
    other.kill('SIGKILL');
  });
});
