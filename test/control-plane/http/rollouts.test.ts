/** Rollouts over HTTP and on the command line: a real control plane, devices that say things. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RolloutItem } from '@runnel/control-plane/http/rollout-messages.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, jobReportOf } from '../../support/device.ts';
import { waitFor } from '../../support/wait-for.ts';
import { runnel } from '../cli/cli-terminal.ts';

/** `by` makes another version. */
const job = (by: string, rollout = ''): string => `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: press, description: ${by} }
${rollout}
sources: { in: { mqtt: { topic: "press/+" } } }
steps: [{ filter: "true" }]
sinks: [{ from: filter, results: { dataset: rms } }]
`;
const MANUAL = 'rollout: { batches: [1, 100%], approval: manual }';

let control: TestControlPlane;
let devices: readonly Device[];

beforeAll(async () => {
  control = await TestControlPlane.start();
  devices = [
    await Device.join(control, { name: 'press-1' }),
    await Device.join(control, { name: 'press-2' }),
  ];
});

afterAll(async () => {
  for (const device of devices) await device.close();
  await control.close();
});

const admin = (...args: string[]) => runnel(args, { env: env() });
const env = () => ({ RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken });
const apply = (text: string, ...args: string[]) =>
  runnel(['apply', '-f', '-', ...args], { env: env(), input: text });
const act = (action: string) => control.post(`/jobs/press/rollout/${action}`);
const rollout = async (): Promise<RolloutItem> =>
  (await control.get('/jobs/press/rollout')).json as RolloutItem;

/** Does what it is told; `bad` is a version that it cannot start. */
async function obey(device: Device, bad?: number): Promise<void> {
  const { revision, jobs } = await device.desired();
  const told = jobs.find(({ name }) => name === 'press');
  const attempted = {
    version: bad ?? 0,
    phase: 'refused',
    reason: 'no such broker',
    at: 1,
  } as const;
  const report =
    told?.version === bad
      ? jobReportOf({ version: (bad ?? 0) - 1, attempted })
      : jobReportOf({ version: told?.version ?? null });
  await device.beat({ observedRevision: revision, jobs: told === undefined ? [] : [report] });
}

async function reach(phase: string, bad?: number): Promise<RolloutItem> {
  return await waitFor(
    `the phase ${phase}`,
    async () => {
      for (const device of devices) await obey(device, bad);
      const item = await rollout();
      return item.phase === phase ? item : undefined;
    },
    20_000,
  );
}

async function refused(action: string, hint: string): Promise<void> {
  const answer = await act(action);
  expect(answer.status, answer.text).toBe(409);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(answer.json).toMatchObject({ code: 'rollout_conflict' });
  expect(answer.json.hint).toContain(hint);
}

describe('the rollout of a job', () => {
  it('is not there without the job', async () => {
    expect(await act('undo')).toMatchObject({ status: 404, json: { code: 'not_found' } });
    expect((await control.get('/jobs/press/rollout')).status).toBe(404);
    expect(await admin('rollout', 'status', 'press')).toMatchObject({ code: 1, out: '' });
  });

  it('is told at apply, and what it is as JSON is a contract', async () => {
    for (const device of devices) await obey(device);
    const applied = await apply(job('first'));
    expect(applied.out).toBe('press: version 1 created for 2 agents\n');
    expect(applied.err).toContain(
      'press: rolls out to 2 devices, all at once; ' +
        'follow it: runnel rollout status press --watch\n',
    );
    await reach('succeeded');
    const { code, out } = await admin('rollout', 'status', 'press', '-o', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      job: 'press',
      version: 1,
      phase: 'succeeded',
      batch: { n: 1, of: 1 },
      counts: { updated: 2, pending: 0, unknown: 0, failed: 0 },
      reason: '2 devices run it',
    });
  });

  it('answers what does not fit its phase with 409 and what would', async () => {
    await refused('approve', 'runnel rollout undo JOB');
    await refused('pause', 'runnel pause JOB');
    await refused('undo', 'runnel delete JOB');
    expect((await apply(job('second', MANUAL))).err).toContain('2 devices, in 2 batches');
    await refused('approve', 'runnel rollout status JOB');
    const { batch, counts } = await reach('awaitingApproval');
    expect({ batch, counts }).toEqual({
      batch: { n: 1, of: 2 },
      counts: { updated: 1, pending: 1, unknown: 0, failed: 0 },
    });
    expect((await act('pause')).json).toMatchObject({ phase: 'suspended' });
    await refused('approve', 'runnel rollout resume JOB');
    await refused('pause', 'runnel rollout resume JOB');
    expect((await act('resume')).json).toMatchObject({ phase: 'awaitingApproval' });
    await refused('resume', 'runnel rollout approve JOB');
  });

  it('is followed to its end, and who changed it is in the audit', async () => {
    const watched = admin('rollout', 'status', 'press', '--watch');
    expect((await act('approve')).json).toMatchObject({ batch: { n: 2, of: 2 } });
    await reach('succeeded');
    const { code, err, out } = await watched;
    expect(code).toBe(0);
    expect(err).toContain('press version 2 succeeded, batch 2 of 2: 2 updated');
    expect(out).toContain('succeeded');
    const { items } = (await control.get('/audit')).json as { items: { action: string }[] };
    expect(items.map(({ action }) => action)).toContain('rollout.approve');
  });

  it('that succeeded is undone by one of the version before', async () => {
    expect((await act('undo')).json).toMatchObject({ version: 1, phase: 'progressing' });
    await reach('succeeded');
    expect((await control.get('/jobs/press')).json).toMatchObject({ version: 1 });
    const { out } = await admin('rollout', 'history', 'press');
    expect(
      out
        .split('\n')
        .slice(1, 4)
        .map((line) => line.slice(0, 1)),
    ).toEqual(['1', '2', '1']);
  });

  it('that was aborted is tried again by applying the same', async () => {
    await apply(job('second', MANUAL));
    await reach('awaitingApproval');
    expect((await act('abort')).json).toMatchObject({ phase: 'aborted' });
    const again = await apply(job('second', MANUAL));
    expect(again.out).toBe('press: version 2 is tried again for 2 agents\n');
    await reach('awaitingApproval');
    await act('approve');
    expect(await reach('succeeded')).toMatchObject({ version: 2 });
  });

  it('goes back when it cannot start, which apply --wait tells by its code', async () => {
    const waiting = apply(job('third', 'rollout: { batches: [1, 100%] }'), '--wait');
    const { reason } = await reach('rolledBack', 3);
    expect(reason).toContain('no such broker');
    const { code, err } = await waiting;
    expect(code).toBe(1);
    expect(err).toContain('press version 3 rolledBack');
    const alert = await waitFor('the alert', async () => {
      const { items } = (await control.get('/alerts?source=rollout')).json;
      return (items as readonly object[])[0];
    });
    expect(alert).toMatchObject({ state: 'firing', severity: 'error', job: 'press' });
    expect((await control.get('/jobs/press')).json).toMatchObject({ version: 2 });
    for (const device of devices) {
      const { jobs } = await device.desired();
      expect(jobs.map(({ version }) => version)).toEqual([2]);
    }
  });

  it('is no viewer’s to change', async () => {
    const token = await control.token('viewer');
    const answer = await control.post('/jobs/press/rollout/undo', undefined, { token });
    expect(answer).toMatchObject({ status: 403, json: { code: 'forbidden' } });
  });
});
