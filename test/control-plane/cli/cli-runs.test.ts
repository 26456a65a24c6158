/** The commands about runs against a real control plane, and a device that says what it is told. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BatchCommand } from '@runnel/shared/protocol/runs.ts';
import { parse } from 'yaml';
import { TestControlPlane } from '../../support/control-plane.ts';
import { type BatchAnswer, Device, jobReportOf } from '../../support/device.ts';
import { batchJob, CAN_RUN, runRowOf, taskRowOf } from '../../support/runs.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type RanOptions, runnel } from './cli-terminal.ts';

const JOB = batchJob(
  'nightly',
  `placement: { selector: "site=lyon" }
partition: { every: 1d, timezone: Europe/Paris }
parameters:
  limit: { type: number, default: 1 }
  label: { type: string, default: a }`,
);
const RUN = '7hq2k0aaaa';

let control: TestControlPlane;
let device: Device;
let asked: BatchCommand[] = [];

beforeAll(async () => {
  control = await TestControlPlane.start();
  device = await Device.join(control, { name: 'press-1', labels: { site: 'lyon' } });
  const other = await Device.join(control, { name: 'press-2', labels: { site: 'lyon' } });
  await device.beat({ capabilities: CAN_RUN });
  await other.beat({ capabilities: ['stream', 'batch'] });
  await other.close();
  await waitFor('both to be online', async () => {
    const { json } = await control.get('/agents?connection=online');
    return json.items.length === 2;
  });
});

afterAll(async () => {
  await device.close();
  await control.close();
});

afterEach(() => {
  asked = [];
  device.answering(() => null);
});

const answering = (answer: (command: BatchCommand) => BatchAnswer): void => {
  device.answering((command) => {
    asked.push(command);
    return answer(command);
  });
};

const admin = (args: readonly string[], options: RanOptions = {}) =>
  runnel(args, {
    ...options,
    env: { RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken },
  });

const made = (state: 'queued' | 'running' = 'queued') => ({
  runs: [{ run: RUN, partition: '2026-11-22', state }],
});

describe('the commands about runs', () => {
  test('apply warns of agents that cannot run the job, describe says why', async () => {
    const ran = await admin(['apply', '-f', '-'], { input: JOB });
    expect(ran).toMatchObject({ code: 0, out: 'nightly: version 1 created for 1 agent\n' });
    expect(ran.err).toBe(
      'warning: nightly: 1 of 2 agents cannot run it and will not get it ' +
        '(press-2: the device lacks task:value)\n' +
        'nightly: rolls out to 1 device; follow it: runnel rollout status nightly --watch\n',
    );
    const { out } = await admin(['describe', 'job', 'nightly']);
    expect(out).toMatch(/Not placed\n +NAME +REASON\n +press-2 +the device lacks task:value\n/);
  });

  test('runs of a job without any say so, of an unknown one too', async () => {
    expect(await admin(['runs', 'nightly'])).toMatchObject({ code: 0, out: 'no runs\n' });
    expect(await admin(['runs', 'nigthly'])).toMatchObject({
      code: 1,
      err: 'error: there is no job "nigthly"\nhint: runnel get jobs lists them\n',
    });
    const nobody = await admin(['runs', 'nightly', '--agent', 'pres-1']);
    expect(nobody).toMatchObject({
      code: 1,
      err: 'error: there is no agent "pres-1"\nhint: runnel get agents lists them\n',
    });
  });

  test('run sends typed parameters and tells the run', async () => {
    answering(() => made());
    const args = ['--partition', '2026-11-22', '--param', 'limit=2', 'label=3', '--full-refresh'];
    const ran = await admin(['run', 'nightly', '--agent', 'press-1', ...args]);
    expect(ran, ran.err).toMatchObject({
      code: 0,
      out: `press-1: run ${RUN} of 2026-11-22 is queued\n`,
    });
    expect(asked).toMatchObject([
      { job: 'nightly', parameters: { limit: 2, label: '3' }, fullRefresh: true },
    ]);
  });

  test('run fails when an agent did not accept it, and without a place to run', async () => {
    answering(() => ({ code: 'parameter_unknown', message: 'no parameter "x"' }));
    const refused = await admin(['run', 'nightly', '-l', 'site=lyon', '--param', 'x=1']);
    expect(refused).toMatchObject({ code: 1, out: 'press-1: refused: no parameter "x"\n' });
    const elsewhere = await admin(['run', 'nightly', '--agent', 'press-2']);
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.err).toContain('not placed on press-2: the device lacks task:value');
    expect((await admin(['run', 'nightly'])).code).toBe(2);
    expect((await admin(['run', 'nightly', '--agent', 'a', '-l', 'b=c'])).code).toBe(2);
    expect((await admin(['run', 'nightly', '--agent', 'press-1', '--param', 'x'])).code).toBe(2);
  });

  test('run --wait ends with the run, by a report that came after it was asked for', async () => {
    // The partition was run before, and failed.
    await device.send([runRowOf({ run: RUN, state: 'failed', endedAt: 2500 })]);
    let reported: Promise<unknown> | undefined;
    const wait = (state: 'success' | 'failed') => {
      answering(() => {
        const error = { code: 'x', class: 'other', message: 'no disk' };
        const end = { state, endedAt: 3000, tries: 2, error: state === 'failed' ? error : null };
        reported = device.send([runRowOf({ run: RUN, tries: 2 }), runRowOf({ run: RUN, ...end })]);
        return made();
      });
      return admin(['run', 'nightly', '--agent', 'press-1', '--wait']);
    };
    expect(await wait('success')).toMatchObject({
      code: 0,
      out: `press-1: run ${RUN} of 2026-11-22: success\n`,
    });
    expect(await wait('failed')).toMatchObject({
      code: 1,
      out: `press-1: run ${RUN} of 2026-11-22: failed: no disk\n`,
    });
    await reported;
  });

  test('run --wait can be left with Ctrl-C', async () => {
    const interrupt = new AbortController();
    answering(() => {
      interrupt.abort();
      return { runs: [{ run: 'silent', partition: 'p', state: 'queued' }] };
    });
    const args = ['run', 'nightly', '--agent', 'press-1', '--wait'];
    const ran = await admin(args, { interrupted: interrupt.signal });
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.err).toContain('the runs go on');
  });

  test('runs are listed for people and for programs', async () => {
    await device.send([
      runRowOf({ run: RUN, state: 'failed', endedAt: 62_001, tries: 3, error: cause }),
      runRowOf({ run: 'other1', partition: '2026-11-23', state: 'running' }),
    ]);
    const { out } = await admin(['runs', 'nightly', '--agent', 'press-1']);
    expect(out).toMatch(/^RUN +STATE +PARTITION +AGENT +STARTED +TOOK +TRIES +TRIGGER +ERROR\n/);
    expect(out).toMatch(
      /7hq2k0aaaa +failed +2026-11-22 +press-1 +\S+ ago +1m +3 +schedule +no disk\n/,
    );
    const { out: narrow } = await admin(['runs', 'nightly'], { columns: 60 });
    expect(narrow).toMatch(/^RUN +STATE +PARTITION +AGENT +STARTED/);
    expect(Math.max(...narrow.split('\n').map((line) => line.length))).toBeLessThanOrEqual(60);
    const failed = await admin(['runs', 'nightly', '--state', 'failed', '-o', 'json']);
    expect(JSON.parse(failed.out)).toMatchObject({ items: [{ run: RUN }] });
    const yaml = await admin(['runs', 'nightly', '--limit', '1', '-o', 'yaml']);
    expect(parse(yaml.out)).toMatchObject({ items: [{ run: 'other1', state: 'running' }] });
    expect((await admin(['runs', 'nightly', '--state', 'lost'])).code).toBe(2);
  });

  test('a run is described by a beginning of its id', async () => {
    await device.send([
      taskRowOf({ run: RUN, state: 'failed', attempt: 2, error: cause }),
      taskRowOf({ run: RUN, task: 'share', state: 'upstream_failed', startedAt: null }),
      runRowOf({
        ...{ run: RUN, state: 'failed', endedAt: 62_001, error: cause },
        affected: { tasks: ['share'], jobs: ['report'] },
      }),
    ]);
    const { out } = await admin(['describe', 'run', '7hq']);
    expect(out).toMatch(/State: +failed\n/);
    expect(out).toMatch(/Error: +no disk \(disk_full, resources\)\n/);
    expect(out).toMatch(/Affected: +task share, report\n/);
    expect(out).toMatch(/daily +value +failed +2 +1970-01-01T00:00:02\.001Z +4ms +no disk\n/);
    expect(out).toMatch(/share +value +upstream_failed/);
    expect(out).toMatch(/min +1 +default\n/);
    expect((await admin(['describe', 'run', 'zzz'])).code).toBe(1);
  });

  test('a run that was told to end and has not ended is shown as cancelling', async () => {
    await device.send([runRowOf({ run: 'stopping1', state: 'running', cancelling: true })]);
    const { out } = await admin(['describe', 'run', 'stopping1']);
    expect(out).toMatch(/State: +cancelling\n/);
  });

  test.each([
    [['cancel', '7hq'], { action: 'cancel' }],
    [['rerun', '7hq', '--from', 'daily'], { action: 'rerun', from: 'daily', fullRefresh: false }],
    [['rerun', '7hq', '--full-refresh'], { action: 'rerun', from: null, fullRefresh: true }],
    [['rerun', '7hq', '--all'], { action: 'rerun', from: null, all: true }],
    [['clear', '7hq', 'daily'], { action: 'clear', task: 'daily' }],
    [['mark-success', '7hq'], { action: 'markSuccess', task: null }],
    [['mark-success', '7hq', 'share'], { action: 'markSuccess', task: 'share' }],
  ])('%j asks the device of the run', async (args, command) => {
    answering(() => made('running'));
    const ran = await admin(args);
    expect(ran, ran.err).toMatchObject({ code: 0, out: `${RUN}: run of 2026-11-22 is running\n` });
    expect(asked).toMatchObject([{ run: RUN, ...command }]);
  });

  test("an action that the device refuses fails with the device's words", async () => {
    answering(() => ({ code: 'run_active', message: 'the run is still running' }));
    const ran = await admin(['rerun', '7hq']);
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.err).toContain('the run is still running');
  });

  test('a backfill takes dates of the zone of the partitions', async () => {
    answering(() => ({ partitions: ['2026-11-01', '2026-11-02'] }));
    const range = ['--from', '2026-11-01', '--to', '2026-11-03T00:00:00Z', '--which', 'failed'];
    const args = ['backfill', 'nightly', '--agent', 'press-1', ...range, '--dry-run'];
    expect(await admin(args)).toMatchObject({
      code: 0,
      out:
        'press-1: 2 partitions would run (dry run: nothing was started)\n' +
        '  2026-11-01\n  2026-11-02\n',
    });
    expect(asked).toMatchObject([
      {
        ...{ action: 'backfill', which: 'failed', order: 'oldest', maxActive: 1, dryRun: true },
        from: Date.UTC(2026, 9, 31, 23),
        to: Date.UTC(2026, 10, 3),
      },
    ]);
    answering(() => ({ ...made(), partitions: ['2026-11-22', '2026-11-23', '2026-11-24'] }));
    expect(await admin(args.slice(0, -1))).toMatchObject({
      code: 0,
      out:
        'press-1: 3 partitions, 2026-11-22 to 2026-11-24; the others follow by themselves\n' +
        `press-1: run ${RUN} of 2026-11-22 is queued\n`,
    });
    answering(() => ({}));
    expect((await admin(args.slice(0, -1))).out).toBe('press-1: accepted, nothing to run\n');
    const skipped = {
      count: 7,
      partitions: [{ partition: '2026-11-22', reason: 'done' as const }],
    };
    answering(() => ({ ...made(), partitions: ['2026-11-23'], backfill: 'bf1', skipped }));
    expect((await admin(args.slice(0, -1))).out).toBe(
      'press-1: 1 partition, 2026-11-23\n  passed by: 7: 2026-11-22 (done), …\n' +
        `press-1: run ${RUN} of 2026-11-22 is queued\n` +
        '  to stop it: runnel cancel bf1 --backfill --agent press-1\n',
    );
    expect(await admin(['cancel', 'bf1', '--backfill', '--agent', 'press-1'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^bf1: stopped, no more runs follow\n {2}passed by: 7/) as string,
    });
    expect(asked.at(-1)).toMatchObject({ action: 'cancel', run: 'bf1' });
    expect((await admin(['cancel', 'bf1', '--backfill'])).code).toBe(2);
    const wrong = await admin([...args.slice(0, 4), '--from', 'soon', '--to', '2026-11-03']);
    expect(wrong.code).toBe(2);
  });

  test('logs come in pages, and are followed until the run has ended', async () => {
    const line = (n: number, level: 'info' | 'warn' = 'info') => ({
      ...{ n, at: n * 1000, level, task: 'daily', index: null, attempt: 1, text: `line ${n}` },
    });
    answering((command) => {
      const after = command.action === 'logs' ? command.after : 0;
      if (after === 0) return { lines: [line(1), line(2, 'warn')], open: true };
      return asked.length < 4 ? { open: true } : { lines: after < 3 ? [line(3)] : [] };
    });
    const once = await admin(['logs', '7hq']);
    expect(once.out).toMatch(
      /^1970-01-01T00:00:01Z +info {3}daily#1 {11}line 1\n.*warn {3}daily#1/,
    );
    asked = [];
    const followed = await admin(['logs', '7hq', '--follow', '--task', 'daily', '-o', 'json']);
    const lines = followed.out.trim().split('\n');
    expect(lines.map((text) => (JSON.parse(text) as { n: number }).n)).toEqual([1, 2, 3]);
    expect(asked[0]).toMatchObject({ action: 'logs', run: RUN, task: 'daily', after: 0 });
  });

  test('pause and resume are told, and a paused job is shown as such', async () => {
    expect((await admin(['pause', 'nightly'])).out).toContain('nightly: paused');
    expect((await admin(['get', 'jobs'])).out).toMatch(/nightly +BatchJob \(paused\)/);
    expect((await admin(['resume', 'nightly'])).out).toBe('nightly: goes on\n');
    expect((await admin(['pause', 'none'])).code).toBe(1);
  });

  test('describe job tells when it runs next and how it went', async () => {
    const batch = {
      ...{ nextAt: 32_503_680_000_000, activeRuns: 1, queuedRuns: 0, lastSuccessAt: null },
      lastRun: { run: RUN, partition: '2026-11-22', state: 'failed' as const, endedAt: 1 },
      ...{ skipped: { overlap: 2 }, ended: {} },
    };
    await device.beat({ capabilities: CAN_RUN, jobs: [jobReportOf({ name: 'nightly', batch })] });
    const shown = await waitFor('the report', async () => {
      const { out } = await admin(['describe', 'job', 'nightly']);
      return out.includes('LAST RUN') ? out : undefined;
    });
    expect(shown).toMatch(/press-1 +3000-01-01T00:00:00Z \(in \d+d\) +1 +0 +2026-11-22 failed/);
    expect(shown).toMatch(/never +overlap 2\n/);
  });

  test('commands on a run of an id that two agents report take the agent', async () => {
    const thief = await Device.join(control, { name: 'thief' });
    await thief.send([runRowOf({ run: RUN, partition: 'stolen' })]);
    await thief.close();
    answering(() => ({ ...made('running'), lines: [], open: false }));
    const commands = [
      ['describe', 'run', RUN],
      ['logs', RUN],
      ['cancel', RUN],
      ['rerun', RUN],
      ['clear', RUN, 'daily'],
      ['mark-success', RUN],
    ];
    for (const command of commands) {
      const torn = await admin(command);
      expect(torn.code).toBe(1);
      expect(torn.err).toMatch(/2 agents report .*\nhint: say whose: --agent press-1/);
      const ran = await admin([...command, '--agent', 'press-1']);
      expect(ran, ran.err).toMatchObject({ code: 0 });
    }
    expect(asked).toHaveLength(5);
    const prefix = await admin(['describe', 'run', '7hq', '--agent', 'thief']);
    expect(prefix.out).toContain('stolen');
  });

  test('help shows how a command is used', async () => {
    for (const command of ['run', 'backfill', 'rerun', 'logs', 'runs', 'clear', 'mark-success']) {
      expect((await admin([command, '--help'])).out, command).toMatch(/Examples?:\n +runnel /);
    }
  });
});

const cause = { code: 'disk_full', class: 'resources', message: 'no disk' };
