/** Runs through the whole control plane: reported by devices, asked for over HTTP, acted on. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { BatchCommand } from '@runnel/shared/protocol/runs.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, jobReportOf } from '../../support/device.ts';
import { batchJob, CAN_RUN, runRowOf, taskRowOf } from '../../support/runs.ts';
import { waitFor } from '../../support/wait-for.ts';

let control: TestControlPlane;
let device: Device;
let other: Device;

beforeAll(async () => {
  control = await TestControlPlane.start();
  device = await Device.join(control, { name: 'press-1', labels: { site: 'lyon' } });
  other = await Device.join(control, { name: 'press-2', labels: { site: 'turin' } });
  for (const each of [device, other]) await each.beat({ capabilities: CAN_RUN });
  const made = await control.post(
    '/jobs',
    batchJob('nightly', 'placement: { selector: site=lyon }'),
  );
  expect(made.status, made.text).toBe(201);
  await waitFor('the job to be placed', async () => {
    const { json } = await control.get('/jobs/nightly');
    return json.counts.desired === 1;
  });
});

afterAll(async () => {
  await device.close();
  await other.close();
  await control.close();
});

const metric = async (name: string): Promise<number> => {
  const { text } = await control.request('GET', '/metrics');
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1) ?? Number.NaN);
};

/** Lets the device answer, and gives what it was asked. */
function answering(answer: Parameters<Device['answering']>[0]): BatchCommand[] {
  const asked: BatchCommand[] = [];
  device.answering((command) => {
    asked.push(command);
    return answer(command);
  });
  onTestFinished(() => device.answering(() => null));
  return asked;
}

describe('runs that devices report', () => {
  it('are listed newest first with the states of their tasks, and told in full', async () => {
    await device.send([
      runRowOf({ run: 'aaaa1' }),
      taskRowOf({ run: 'aaaa1' }),
      taskRowOf({ run: 'aaaa1', task: 'share', index: 0, state: 'failed' }),
      taskRowOf({ run: 'aaaa1', task: 'share', index: 1 }),
      runRowOf({ run: 'aaaa2', partition: '2026-11-23' }),
    ]);
    const { json } = await control.get('/runs?job=nightly');
    expect(json).toMatchObject({
      items: [
        { run: 'aaaa2', partition: '2026-11-23', tasks: [{ id: 'daily', state: null }, {}] },
        {
          run: 'aaaa1',
          agent: device.id,
          agentName: 'press-1',
          key: 'nightly/2026-11-22',
          tasks: [
            { id: 'daily', kind: 'value', state: 'success', instances: null },
            { id: 'share', state: 'failed', instances: { succeeded: 1, reported: 2 } },
          ],
        },
      ],
      next: null,
    });
    const one = await control.get('/runs/aaaa1');
    expect(one.json).toMatchObject({
      parameters: { min: 1 },
      origins: { min: 'default' },
      tasks: [
        { id: 'daily', needs: [] },
        { id: 'share', needs: ['daily'] },
      ],
      instances: [
        { task: 'daily', index: null, output: { n: 1 } },
        { task: 'share', index: 0, state: 'failed' },
        { task: 'share', index: 1, state: 'success' },
      ],
      truncated: false,
    });
    const first = await control.get('/runs?limit=1');
    expect(first.json.items).toMatchObject([{ run: 'aaaa2' }]);
    const rest = await control.get(`/runs?limit=1&cursor=${first.json.next}`);
    expect(rest.json).toMatchObject({ items: [{ run: 'aaaa1' }], next: null });
    const names = async (query: string) =>
      (await control.get(`/runs?${query}`)).json.items.map((item: { run: string }) => item.run);
    expect(await names('agent=press-1&partition=2026-11-22')).toEqual(['aaaa1']);
    expect(await names('agent=press-2')).toEqual([]);
    expect((await control.get('/runs?state=done')).status).toBe(400);
  });

  it('are no results, and count once when their block is sent again', async () => {
    const mark = await device.send([
      runRowOf({ run: 'once0', state: 'failed', endedAt: 4000 }),
      runRowOf({ run: 'once1', state: 'success', endedAt: 5000 }),
      taskRowOf({ run: 'once1' }),
    ]);
    expect(await device.resend()).toBe(mark);
    expect(await device.resend()).toBe(mark);
    const { json } = await control.get('/runs/once1');
    expect(json.instances).toHaveLength(1);
    const events = await control.get(`/agents/${device.id}/events`);
    const ends = events.json.items.filter((event: { type: string }) => event.type === 'run');
    expect(ends).toMatchObject([
      { severity: 'ok', job: 'nightly', data: { run: 'once1' } },
      { severity: 'error', job: 'nightly', data: { run: 'once0' } },
    ]);
    expect((await control.get('/datasets')).json.items).toEqual([]);
    expect(await metric('runnel_runs_total{job="nightly",state="success"}')).toBe(1);
    const last = 'runnel_run_last_success_timestamp_seconds{job="nightly"}';
    expect(await metric(last)).toBe(5);
  });

  it('are an event when they fail, and when they succeed only where that is news', async () => {
    const end = async (run: string, more: Parameters<typeof runRowOf>[0]): Promise<void> => {
      await device.send([runRowOf({ run, endedAt: 5000, ...more }, 'hourly')]);
    };
    await end('first', { state: 'success' });
    await end('fails', {
      state: 'failed',
      error: { code: 'is_broken', class: 'rejected', message: 'task "daily": is broken' },
      affected: { tasks: ['share'], jobs: ['taker'] },
    });
    await end('mends', { state: 'success' });
    await end('same', { state: 'success' });
    await end('stops', { state: 'cancelled' });
    await end('again', { state: 'success' });
    await end('same', { state: 'queued', tries: 2, endedAt: null });
    await end('same', { state: 'success', tries: 2 });
    // Another job of the device, and another device, are no run before it.
    await device.send([runRowOf({ run: 'other', state: 'failed' }, 'weekly')]);
    await other.send([runRowOf({ run: 'there', state: 'failed' }, 'hourly')]);
    await end('last', { state: 'success' });
    const events = await control.get(`/agents/${device.id}/events`);
    const ofJob = events.json.items.filter(({ job }: { job: string }) => job === 'hourly');
    const told = ofJob.map(({ severity, data }: { severity: string; data: { run: string } }) => [
      severity,
      data.run,
    ]);
    expect(told.toReversed()).toEqual([
      ['error', 'fails'],
      ['ok', 'mends'],
      ['info', 'stops'],
      ['ok', 'again'],
      ['ok', 'same'],
    ]);
    expect(ofJob.at(-1)).toMatchObject({
      message:
        'run of 2026-11-22 failed: task "daily": is broken ' +
        '(tasks not run: share; jobs that wait for it: taker)',
      data: { error: { code: 'is_broken' }, affected: { tasks: ['share'], jobs: ['taker'] } },
    });
  });

  it('are found by a beginning that only one has', async () => {
    expect((await control.get('/runs/mend')).json.run).toBe('mends');
    expect(await control.get('/runs/aaaa')).toMatchObject({
      status: 409,
      json: { code: 'run_conflict' },
    });
    expect((await control.get('/runs/zzz')).status).toBe(404);
    expect((await control.get('/runs/a%25b')).status).toBe(400);
  });

  it('say that they are being cancelled until they have ended', async () => {
    const stored = async () => (await control.get('/runs/stopped')).json;
    await device.send([runRowOf({ run: 'stopped', state: 'running', cancelling: true })]);
    expect(await stored()).toMatchObject({ state: 'running', cancelling: true });
    await device.send([runRowOf({ run: 'stopped', state: 'cancelled', endedAt: 9000 })]);
    expect(await stored()).toMatchObject({ state: 'cancelled', cancelling: false });
  });
});

describe('a run now', () => {
  const start = (body: object, request: object = {}) =>
    control.post('/runs', { job: 'nightly', ...body }, request);

  it('goes to the device and gives what it made of it', async () => {
    const runs = [{ run: 'new1', partition: '2026-11-20', state: 'queued' as const }];
    const asked = answering(() => ({ runs }));
    const operator = await control.token('operator');
    const body = { agents: ['press-1'], partition: '2026-11-20', parameters: { min: 2 } };
    const { status, json } = await start(body, { token: operator });
    expect(status).toBe(200);
    expect(json.items).toEqual([
      {
        ...{ agent: device.id, name: 'press-1', status: 'accepted', reason: null },
        ...{ runs, partitions: [], backfill: null, skipped: null },
      },
    ]);
    expect(asked).toMatchObject([
      { action: 'run', job: 'nightly', partition: '2026-11-20', parameters: { min: 2 } },
    ]);
    const audit = await control.get('/audit?limit=2');
    expect(audit.json.items[0]).toMatchObject({
      action: 'run.start.outcome',
      data: { intent: audit.json.items[1].id, agents: [{ agent: device.id, status: 'accepted' }] },
    });
    expect(audit.json.items[1]).toMatchObject({
      action: 'run.start',
      subject: 'nightly',
      actor: expect.stringMatching(/^token:/) as string,
      data: { agents: [device.id], parameters: { min: 2 } },
    });
  });

  it('is refused where the job is not placed, and for what is no batch job', async () => {
    expect(await start({ agents: ['press-2'] })).toMatchObject({
      status: 409,
      json: {
        code: 'job_not_placed_conflict',
        detail: "nightly is not placed on press-2: the job's selector does not choose it",
      },
    });
    await control.post(
      '/jobs',
      'apiVersion: runnel/v1\nkind: StreamJob\nmetadata: { name: stream }\n' +
        'sources: { device: { host: {} } }\nsteps: [{ filter: "true" }]\nsinks: [{ alerts: {} }]\n',
    );
    const stream = await control.post('/runs', { job: 'stream', agents: ['press-1'] });
    expect(stream).toMatchObject({ status: 409, json: { code: 'job_kind_conflict' } });
    expect((await control.post('/runs', { job: 'none', agents: ['press-1'] })).status).toBe(404);
    expect((await start({ agents: ['nobody'] })).status).toBe(404);
    expect((await start({})).json.detail).toContain('`agents` or `selector`');
    expect((await start({ selector: 'site=nowhere' })).json.code).toBe('agents_not_found');
    expect((await start({ selector: 'site=turin' })).json.code).toBe('job_not_placed_conflict');
  });

  it('on several agents is answered for each', async () => {
    answering(() => ({ code: 'parameter_unknown', message: 'there is no parameter "mni"' }));
    const { json } = await start({ agents: ['press-1', 'press-2'], parameters: { mni: 1 } });
    expect(json.items).toMatchObject([
      { name: 'press-1', status: 'refused', reason: 'there is no parameter "mni"' },
      { name: 'press-2', status: 'refused', reason: expect.stringContaining('not placed') },
    ]);
    const chosen = await start({ selector: '' });
    expect(chosen.json.items.map((item: { name: string }) => item.name)).toEqual(['press-1']);
  });

  it('counts an answer of the device that was asked alone', async () => {
    const foreign = 'runnel_device_commands_total{outcome="foreign"}';
    const before = await metric(foreign);
    const asked = answering(() => null);
    const started = start({ agents: ['press-1'] });
    const { id } = await waitFor('the command', () => asked[0]);
    const saying = (agent: string, what: string) => ({
      ...{ v: 1 as const, agent, id, error: null },
      outcome: { runs: [], partitions: [what], lines: [], open: false },
    });
    await other.answer(saying(other.id, 'lie'));
    expect(await metric(foreign)).toBe(before + 1);
    // In the name of the device that was asked: dropped, and not answered at all.
    const forged = other.answer(saying(device.id, 'forged')).catch(() => undefined);
    await waitFor(
      'the forged answer to be dropped',
      async () => (await metric('runnel_intake_dropped_total{reason="agent_mismatch"}')) === 1,
    );
    await device.answer(saying(device.id, 'true'));
    expect((await started).json.items).toMatchObject([
      { status: 'accepted', partitions: ['true'] },
    ]);
    await forged;
  });
});

describe('what is asked of a run', () => {
  it.each([
    ['cancel', undefined, { action: 'cancel' }],
    ['rerun', undefined, { action: 'rerun', from: null, fullRefresh: false }],
    ['rerun', { from: 'daily', fullRefresh: true }, { from: 'daily', fullRefresh: true }],
    ['rerun', { all: true }, { action: 'rerun', from: null, all: true }],
    ['clear', { task: 'daily' }, { action: 'clear', task: 'daily' }],
    ['mark-success', undefined, { action: 'markSuccess', task: null }],
    ['mark-success', { task: 'share' }, { action: 'markSuccess', task: 'share' }],
  ])('%s with %j reaches its device', async (action, body, command) => {
    const runs = [{ run: 'aaaa1', partition: '2026-11-22', state: 'running' as const }];
    const asked = answering(() => ({ runs }));
    const answer = await control.post(`/runs/aaaa1/${action}`, body);
    expect(answer, answer.text).toMatchObject({ status: 200, json: { agent: device.id, runs } });
    expect(asked).toMatchObject([{ run: 'aaaa1', ...command }]);
    const audit = await control.get('/audit?limit=2');
    expect(audit.json.items).toMatchObject([
      { action: `run.${action}.outcome`, subject: 'aaaa1' },
      { action: `run.${action}`, subject: 'aaaa1' },
    ]);
  });

  it("fails with the device's reason, or for what the request lacks", async () => {
    answering(() => ({ code: 'run_active', message: 'the run is still running' }));
    expect(await control.post('/runs/aaaa1/rerun')).toMatchObject({
      status: 409,
      json: { code: 'device_refused', detail: 'the run is still running' },
    });
    expect((await control.post('/runs/aaaa1/clear', {})).status).toBe(400);
    expect((await control.post('/runs/aaaa1/cancel', { now: true })).status).toBe(400);
    expect((await control.post('/runs/zzz/cancel')).status).toBe(404);
  });

  it('a backfill says what would run, and needs a range', async () => {
    const asked = answering(() => ({ partitions: ['2026-11-01', '2026-11-02'] }));
    const body = { job: 'nightly', agents: ['press-1'], from: 1000, to: 2000, dryRun: true };
    const { json } = await control.post('/backfills', body);
    expect(json.items).toMatchObject([{ partitions: ['2026-11-01', '2026-11-02'] }]);
    expect(asked).toMatchObject([
      { action: 'backfill', from: 1000, to: 2000, which: 'none', order: 'oldest', maxActive: 1 },
    ]);
    expect((await control.post('/backfills', { ...body, to: 1000 })).status).toBe(400);
  });

  it('its log comes from the device, page by page', async () => {
    const line = (n: number) => ({
      ...{ n, at: n, level: 'info' as const, task: 'daily', index: null, attempt: 1 },
      text: `line ${n}`,
    });
    const asked = answering(() => ({ lines: [line(3), line(4)], open: true }));
    const { json } = await control.get('/runs/aaaa1/logs?after=2&limit=2&task=daily');
    expect(json).toEqual({ items: [line(3), line(4)], next: 4, open: true });
    expect(asked).toMatchObject([
      { action: 'logs', run: 'aaaa1', task: 'daily', after: 2, linesMax: 2 },
    ]);
    device.answering(() => ({ lines: [], open: false }));
    const end = await control.get('/runs/aaaa1/logs?after=4');
    expect(end.json).toEqual({ items: [], next: 4, open: false });
  });

  it('of a device that never connected, or is gone, is 503', async () => {
    const away = await Device.join(control, { name: 'away' });
    onTestFinished(() => away.close());
    await away.send([runRowOf({ run: 'away1' })]);
    expect(await control.get('/runs/away1/logs')).toMatchObject({
      status: 503,
      json: { code: 'device_unreachable', detail: expect.stringContaining('never connected') },
    });
  });
});

describe('a batch job', () => {
  it('shows what its agents last said of it', async () => {
    const batch = {
      ...{ nextAt: 9e12, activeRuns: 1, queuedRuns: 2, lastSuccessAt: 7000 },
      lastRun: { run: 'once1', partition: '2026-11-22', state: 'success' as const, endedAt: 5000 },
      skipped: { overlap: 3 },
      ended: { success: 1 },
    };
    const jobs = [jobReportOf({ name: 'nightly', batch })];
    await device.beat({ capabilities: CAN_RUN, jobs });
    const job = await waitFor('the report', async () => {
      const { json } = await control.get('/jobs/nightly');
      return json.agents[0]?.batch === null ? undefined : json;
    });
    expect(job.agents).toMatchObject([{ name: 'press-1', notPlaced: null, batch }]);
    expect(await metric('runnel_runs_open{job="nightly",state="queued"}')).toBe(2);
  });

  it('is paused and goes on as a person says, which its agents are told', async () => {
    const { revision } = await device.desired();
    expect((await control.post('/jobs/nightly/pause')).json).toMatchObject({ paused: true });
    const paused = await device.desired();
    expect(paused.revision).toBe(revision + 1);
    expect(paused.jobs).toMatchObject([{ name: 'nightly', paused: true }, { name: 'stream' }]);
    await control.post('/jobs/nightly/pause');
    expect((await device.desired()).revision).toBe(revision + 1);
    await control.post('/jobs', batchJob('nightly', 'placement: { selector: "site = lyon" }'));
    expect((await control.get('/jobs/nightly')).json).toMatchObject({ version: 2, paused: true });
    expect((await control.post('/jobs/nightly/resume')).json).toMatchObject({ paused: false });
    expect((await device.desired()).jobs[0]).toMatchObject({ paused: false, version: 2 });
    const { json } = await control.get('/audit?limit=3');
    const actions = json.items.map(({ action }: { action: string }) => action);
    expect(actions).toEqual(['job.resume', 'job.apply', 'job.pause']);
    expect((await control.post('/jobs/none/pause')).status).toBe(404);
  });
});
