/** `runnel dry-run batch.yaml`: the plan, and `--execute` with its lines, exit codes and errors. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { dryRun, execute, jobFile } from './batch-world.ts';

const GOLDEN = join(dirname(fileURLToPath(import.meta.url)), '../../golden/batch-plan');
const DAY = Date.UTC(2026, 10, 22);

function states(ran: Awaited<ReturnType<typeof execute>>): Record<string, string> {
  return Object.fromEntries(
    ran.tasks.map(({ task, index, state }) => [index === null ? task : `${task}[${index}]`, state]),
  );
}

describe('a plan', () => {
  it('has tasks in an order in which they can run, rendered as far as it is known', async () => {
    const flags = { at: '2026-10-26T00:15:00+01:00', param: ['level=4'] };
    const ran = await dryRun(join(GOLDEN, 'job.yaml'), flags);
    expect(ran.err).toBe('');
    expect(ran.out).toBe(readFileSync(join(GOLDEN, 'plan.txt'), 'utf8'));
    expect(ran.code).toBe(0);
  });

  it('is JSON for programs', async () => {
    const ran = await dryRun(join(GOLDEN, 'job.yaml'), { at: '1792970100000', output: 'json' });
    const plan = JSON.parse(ran.out) as { at: number; runs: { key: string; tasks: object[] }[] };
    expect(plan.at).toBe(1_792_970_100_000);
    expect(plan.runs.map(({ key, tasks }) => [key, tasks.length])).toEqual([
      ['plan/2026-10-25', 6],
    ]);
  });

  it('has a run for each key, and makes nothing', async () => {
    const job = jobFile('partition: { keys: [a, b] }\ntasks: [{ id: t, value: { value: 1 } }]');
    const ran = await dryRun(job);
    expect(ran.out).toContain('run job/a\n');
    expect(ran.out).toContain('run job/b\n');
    expect(ran.err).toBe('');
  });

  it('leaves the file names of an archive to its periods', async () => {
    const job = jobFile(
      'partition: { every: 1d }\ntasks: [{ id: t, archive: { dataset: d, ' +
        'to: "a/{{ partition.id }}.jsonl", format: jsonl } }]',
    );
    const ran = await dryRun(job);
    expect(ran.out).toContain('to: a/{{ partition.id }}.jsonl');
    expect(ran.out).not.toContain('bound');
  });

  it.each([
    [{ at: 'tomorrow' }, '--at tomorrow is no time'],
    [{ partition: 'x' }, 'the job has no partition "x"'],
    [{ param: ['lmit=1'] }, 'did you mean "limit"'],
    [{ param: ['limit=x'] }, 'is no number'],
    [{ data: 'd' }, '--data goes with --execute'],
    [{ input: ['a=b'] }, '--input goes with --execute'],
    [{ output: 'jsonl' as const }, '--output jsonl goes with --execute'],
    [{ flush: false }, '--no-flush is for stream jobs'],
  ])('says what is wrong with %j', async (flags, text) => {
    const job = jobFile(
      'partition: { every: 1d }\nparameters: { limit: { type: number, default: 1 } }\n' +
        'tasks: [{ id: t, value: { value: 1 } }]',
    );
    const ran = await dryRun(job, flags);
    expect([ran.code, ran.out]).toEqual([2, '']);
    expect(ran.err).toContain(text);
  });

  it('of a document that does not pass tells every issue with its line', async () => {
    const ran = await dryRun(jobFile('tasks: [{ id: a, needs: b, valu: { value: 1 } }]'));
    expect(ran.code).toBe(2);
    expect(ran.err).toMatch(/line 4/);
  });
});

describe('--execute', () => {
  it('prints each task once, in the order in which they ended, then the run', async () => {
    const job = jobFile(`
tasks:
  - { id: last, needs: [slow, fast], value: { value: done } }
  - { id: slow, command: { run: [/bin/sh, -c, "sleep 0.5; echo slow"] } }
  - { id: fast, command: { run: [/bin/echo, fast] } }`);
    const ran = await execute(job);
    expect(ran.err).toBe('');
    expect(ran.code).toBe(0);
    expect(ran.tasks.map(({ task }) => task)).toEqual(['fast', 'slow', 'last']);
    const [fast, slow, last] = ran.tasks;
    expect(slow!.startedAt).toBeLessThan(fast!.endedAt!);
    expect(last!.startedAt).toBeGreaterThanOrEqual(slow!.endedAt!);
    expect(last).toMatchObject({ index: null, attempt: 1, output: 'done', error: null });
    expect(Object.keys(last!)).toEqual([
      'task',
      'index',
      'state',
      'attempt',
      'startedAt',
      'endedAt',
      'output',
      'error',
    ]);
    expect(ran.runs).toEqual([{ key: expect.stringMatching(/^job\/20/), state: 'success' }]);
    expect(ran.out.trimEnd().split('\n').at(-1)).toMatch(/^{"run":/);
  });

  it('tells times that never go back from a task to the one that waited for it', async () => {
    const ids = Array.from({ length: 12 }, (_, at) => `t${at}`);
    const tasks = ids.map((id, at) => {
      const needs = at === 0 ? '' : ` needs: ${ids[at - 1]},`;
      return `  - { id: ${id},${needs} value: { value: ${at} } }`;
    });
    const at = Date.parse('2026-11-23T00:15:00Z');
    const job = jobFile(`tasks:\n${tasks.join('\n')}`);
    const ran = await execute(job, { at: '2026-11-23T00:15:00Z' });
    expect(ran.tasks.map(({ task }) => task)).toEqual(ids);
    const times = ran.tasks.flatMap(({ startedAt, endedAt }) => [startedAt!, endedAt!]);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]).toBeGreaterThanOrEqual(at);
  });

  it('has a line for each item, and one for a task whose list is empty', async () => {
    const job = jobFile(`
tasks:
  - { id: list, value: { value: [3, 4] } }
  - { id: each, needs: list, forEach: tasks.list.output, value: { value: "{{ item * 2 }}" } }
  - { id: none, needs: list, forEach: [], value: { value: 1 } }
  - { id: sum, needs: each, value: { value: "{{ tasks.each.output }}" } }`);
    const ran = await execute(job);
    expect(states(ran)).toEqual({
      list: 'success',
      'each[0]': 'success',
      'each[1]': 'success',
      none: 'skipped',
      sum: 'success',
    });
    expect(ran.tasks.find(({ task }) => task === 'sum')?.output).toEqual([6, 8]);
  });

  it('of a failure has what did not run, exit code 1 and the error', async () => {
    const job = jobFile(`
tasks:
  - id: fails
    command: { run: [/bin/sh, -c, "echo why >&2; exit 3"] }
    retry: { attempts: 2, backoff: { initial: 200ms } }
  - { id: behind, needs: fails, value: { value: 1 } }
  - { id: each, needs: behind, forEach: [1, 2], value: { value: 1 } }
  - { id: off, when: "1 > 2", value: { value: 1 } }`);
    const ran = await execute(job);
    expect(ran.code).toBe(1);
    expect(states(ran)).toEqual({
      off: 'skipped',
      fails: 'failed',
      behind: 'upstream_failed',
      each: 'upstream_failed',
    });
    const failed = ran.tasks.find(({ task }) => task === 'fails');
    expect(failed).toMatchObject({ attempt: 2, error: { class: 'process', code: 'command_code' } });
    const behind = ran.tasks.find(({ task }) => task === 'behind');
    expect(behind).toMatchObject({ attempt: 0, startedAt: null, endedAt: null });
    expect(ran.err).toMatch(/fails: attempt 1 failed \(.*\), waits 0\.\d s for the next\n/);
    expect(ran.runs).toMatchObject([{ state: 'failed' }]);
  });

  it('is a table with the errors below for people', async () => {
    const job = jobFile('tasks: [{ id: fails, command: { run: [/bin/false] } }]');
    const ran = await execute(job, { output: 'text' });
    expect(ran.code).toBe(1);
    expect(ran.out).toMatch(/^TASK +STATE +ATTEMPTS +TOOK +OUTPUT\nfails +failed +1 +\d+ ms\n/);
    expect(ran.out).toContain('fails: /bin/false ended with code 1 (process, command_code)');
    expect(ran.out).toMatch(/run job\/\S+: failed\n/);
  });

  it('fills the journal from files and standard input, and is as if it were then', async () => {
    const job = jobFile(`
partition: { every: 1d }
tasks:
  - id: day
    transform: { journal: readings, steps: [{ map: { select: { v: payload.v } } }] }
  - id: other
    transform: { journal: press/raw, all: true, steps: [{ map: { select: { v: payload.v } } }] }
  - { id: at, value: { value: "{{ run.at }}" } }`);
    const file = join(tempDir('input'), 'r.jsonl');
    const times = [DAY - 1, DAY, DAY + 86_399_999, DAY + 86_400_000, DAY + 90_000_000];
    const lines = times.map((time, v) => JSON.stringify({ time, topic: 't', payload: { v } }));
    writeFileSync(file, lines.join('\n'));
    const stdin = '{"time":5,"topic":"t","payload":{"v":"raw"}}\n{"now":9}\n';
    const at = '2026-11-23T00:15:00Z';
    const ran = await execute(job, { at, stdin, input: [`readings=${file}`, 'press/raw=-'] });
    expect(ran.err).toBe('');
    expect(ran.code).toBe(0);
    const outputs = Object.fromEntries(ran.tasks.map(({ task, output }) => [task, output]));
    expect(outputs).toMatchObject({
      day: { rows: [{ v: 1 }, { v: 2 }] },
      other: { rows: [{ v: 'raw' }] },
      at: Date.parse(at),
    });
    expect(ran.runs).toEqual([{ key: 'job/2026-11-22', state: 'success' }]);
  });

  it('takes payloads as the codec of the source has them', async () => {
    const job = jobFile(`
sources: { words: { mqtt: { topic: w }, codec: text } }
tasks:
  - id: t
    transform:
      journal: words
      all: true
      steps: [{ map: { select: { w: payload.payload } } }]`);
    const ran = await execute(job, {
      stdin: '{"time":5,"topic":"w","payload":"a \\"b\\""}\n',
      input: ['words=-'],
    });
    expect(ran.tasks).toMatchObject([{ output: { rows: [{ w: 'a "b"' }] } }]);
  });

  it('says which journal is empty, and refuses a source that the job does not read', async () => {
    const job = jobFile(`
tasks:
  - { id: t, transform: { journal: readings, all: true, steps: [{ filter: "true" }] } }`);
    const ran = await execute(job);
    expect(ran.err).toContain('fill it with --input readings=FILE.jsonl');
    expect(ran.code).toBe(0);
    const wrong = await execute(job, { input: ['reading=x.jsonl'] });
    expect([wrong.code, wrong.out]).toEqual([2, '']);
    expect(wrong.err).toContain('Did you mean "readings"?');
    const missing = await execute(job, { input: ['readings=/nowhere.jsonl'] });
    expect([missing.code, missing.out]).toEqual([2, '']);
    expect(missing.err).toContain('/nowhere.jsonl: cannot be read');
  });

  it('runs every key one after the other, with a line for each run', async () => {
    const job = jobFile(
      'partition: { keys: [a, b] }\ntasks: [{ id: t, value: { value: "{{ partition.key }}" } }]',
    );
    const ran = await execute(job);
    expect(ran.tasks.map(({ output }) => output)).toEqual(['a', 'b']);
    expect(ran.runs.map(({ key }) => key)).toEqual(['job/a', 'job/b']);
    const one = await execute(job, { partition: 'b' });
    expect(one.runs.map(({ key }) => key)).toEqual(['job/b']);
  });

  it('keeps files that the job made, and what a given directory remembers', async () => {
    const job = jobFile(`
tasks:
  - id: rows
    extract: { file: { path: "in/*.jsonl", take: new } }
  - { id: out, needs: rows, load: { input: rows, file: { path: "out/rows.jsonl" } } }`);
    const data = join(tempDir('data'), 'd');
    mkdirSync(join(data, 'in'), { recursive: true });
    writeFileSync(join(data, 'in/a.jsonl'), '{"v":1}\n');
    const first = await execute(job, { data });
    expect(first.tasks[0]).toMatchObject({ output: { rowCount: 1 } });
    expect(readFileSync(join(data, 'out/rows.jsonl'), 'utf8')).toBe('{"v":1}\n');
    const second = await execute(job, { data });
    expect(second.tasks[0]).toMatchObject({ output: { rowCount: 0 } });
    const again = await execute(job, { data, fullRefresh: true });
    expect(again.tasks[0]).toMatchObject({ output: { rowCount: 1 } });
  });

  it('tells where files of a temporary directory are, and leaves no other behind', async () => {
    const job = jobFile(
      'tasks: [{ id: out, load: { rows: [{ v: 1 }], file: { path: out.jsonl } } }]',
    );
    const ran = await execute(job);
    const found = /files that the job made are in (\S+): out\.jsonl\n/.exec(ran.err);
    const directory = found?.[1] ?? '';
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    expect(existsSync(join(directory, 'out.jsonl'))).toBe(true);
    expect(existsSync(join(directory, 'store'))).toBe(false);
  });

  it('is judged by a policy file where there is one', async () => {
    const job = jobFile('tasks: [{ id: t, command: { run: [/bin/echo, x] } }]');
    const policy = join(dirname(job), 'policy.yaml');
    writeFileSync(policy, 'apiVersion: runnel/v1\nkind: AgentPolicy\ncommands: [/bin/true]\n');
    const ran = await execute(job, { policy });
    expect([ran.code, ran.out]).toEqual([2, '']);
    expect(ran.err).toContain('does not allow the program /bin/echo');
    const missing = await execute(job, { policy: '/nowhere.yaml' });
    expect(missing.err).toContain('--policy /nowhere.yaml: there is no such file');
  });

  it('ends by a signal: what runs is cancelled, teardown tasks run, exit code 1', async () => {
    const dir = tempDir('interrupt');
    const job = jobFile(`
tasks:
  - { id: setup, value: { value: 1 } }
  - { id: work, needs: setup, command: { run: [/bin/sh, -c, "touch ${dir}/started; sleep 60"] } }
  - { id: clean, needs: [setup, work], teardown: [setup], value: { value: cleaned } }`);
    const ran = await execute(job, {
      interrupt: (send) => {
        void waitFor('the work to begin', () => existsSync(join(dir, 'started'))).then(send);
      },
    });
    expect(ran.code).toBe(1);
    expect(states(ran)).toEqual({ setup: 'success', work: 'cancelled', clean: 'success' });
    expect(ran.runs).toMatchObject([{ state: 'cancelled' }]);
  });

  it('is not for stream jobs', async () => {
    const job = jobFile(
      'sources: { a: { mqtt: { topic: a } } }\nsteps: [{ filter: "true" }]',
      'StreamJob',
    );
    const ran = await dryRun(job, { execute: true });
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('--execute is for batch jobs');
  });
});
