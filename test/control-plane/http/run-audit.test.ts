/** Whose a run is, and what the audit log says of what was asked of it. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { BatchCommand } from '@runnel/shared/protocol/runs.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { batchJob, CAN_RUN, runRowOf } from '../../support/runs.ts';
import { waitFor } from '../../support/wait-for.ts';

let control: TestControlPlane;

beforeAll(async () => {
  control = await TestControlPlane.start();
});

afterAll(() => control.close());

describe('a run whose id two devices report', () => {
  it('is the one of the agent that is named, and the error says whose they are', async () => {
    const mine = await Device.join(control, { name: 'mine' });
    const thief = await Device.join(control, { name: 'thief' });
    onTestFinished(async () => {
      await mine.close();
      await thief.close();
    });
    await mine.beat();
    await mine.send([runRowOf({ run: 'twice' }, 'weekly')]);
    await thief.send([runRowOf({ run: 'twice', state: 'failed' }, 'weekly')]);
    expect(await control.get('/runs/twice')).toMatchObject({
      status: 409,
      json: {
        code: 'run_conflict',
        detail: '2 agents report a run twice: mine, thief',
        hint: 'say whose: --agent mine, or ?agent=mine in an address',
      },
    });
    expect((await control.post('/runs/twice/cancel')).json.code).toBe('run_conflict');
    const whose = async (query: string) => (await control.get(`/runs/${query}`)).json.agentName;
    expect(await whose('twice?agent=mine')).toBe('mine');
    expect(await whose(`twi?agent=${thief.id}`)).toBe('thief');
    expect((await control.get('/runs/twice?agent=nobody')).status).toBe(404);
    const asked: BatchCommand[] = [];
    mine.answering((command) => {
      asked.push(command);
      return { lines: [] };
    });
    expect((await control.get('/runs/twice/logs?agent=mine')).status).toBe(200);
    const actions = ['cancel', 'rerun', 'mark-success'];
    for (const action of [...actions, 'clear']) {
      const body = action === 'clear' ? { task: 'daily' } : undefined;
      const done = await control.post(`/runs/twice/${action}?agent=mine`, body);
      expect(done, done.text).toMatchObject({ status: 200, json: { agent: mine.id } });
    }
    expect(asked).toHaveLength(5);
  });
});

describe('what is asked of a run', () => {
  // 0 s intent, command; 5 s command again; 10 s outcome.
  it('is in the audit before its device is asked, and as a timeout if it is silent', async () => {
    const entries = async () => (await control.get('/audit?limit=4')).json.items;
    const intents: unknown[] = [];
    const device = await Device.join(control, { name: 'press-1' });
    onTestFinished(() => device.close());
    await device.beat({ capabilities: CAN_RUN });
    await control.post('/jobs', batchJob('nightly'));
    await waitFor('the job to be placed', async () => {
      const { json } = await control.get('/jobs/nightly');
      return json.counts.desired === 1;
    });
    await device.send([runRowOf({ run: 'aaaa1' })]);
    const asked: BatchCommand[] = [];
    device.answering((command) => {
      asked.push(command);
      return null;
    });
    const waiting = [
      control.post('/runs/aaaa1/rerun'),
      control.post('/runs', { job: 'nightly', agents: ['press-1'], partition: '2026-11-19' }),
    ];
    await waitFor('both commands', () => (asked.length < 2 ? undefined : asked));
    for (const { action, subject } of await entries()) intents.push([action, subject]);
    expect(intents).toEqual(
      expect.arrayContaining([
        ['run.rerun', 'aaaa1'],
        ['run.start', 'nightly'],
      ]),
    );
    const [rerun, start] = await Promise.all(waiting);
    expect(rerun).toMatchObject({ status: 503, json: { code: 'device_unreachable' } });
    expect(start).toMatchObject({ status: 200, json: { items: [{ status: 'timeout' }] } });
    const all: { id: number; action: string; data: object }[] = await entries();
    for (const action of ['run.rerun', 'run.start']) {
      const intent = all.find((each) => each.action === action)!;
      expect(all.find((each) => each.action === `${action}.outcome`)).toMatchObject({
        data: { intent: intent.id, agents: [{ agent: device.id, status: 'timeout' }] },
      });
    }
  }, 20_000);
});

describe('a backfill', () => {
  it('is known by its id, says what it passes by, and is cancelled', async () => {
    const device = await Device.join(control, { name: 'press-2' });
    onTestFinished(() => device.close());
    await device.beat({ capabilities: CAN_RUN });
    await control.post('/jobs', batchJob('days'));
    await waitFor('the job to be placed', async () => {
      return (await control.get('/jobs/days')).json.counts.desired > 0;
    });
    const skipped = {
      count: 1,
      partitions: [{ partition: '2026-11-01', reason: 'done' as const }],
    };
    const asked: BatchCommand[] = [];
    device.answering((command) => {
      asked.push(command);
      return { partitions: ['2026-11-02'], backfill: 'bf1', skipped };
    });
    const body = { job: 'days', agents: ['press-2'], from: 1000, to: 2000 };
    const begun = await control.post('/backfills', body);
    expect(begun.json.items, begun.text).toMatchObject([{ backfill: 'bf1', skipped }]);
    const stopped = await control.post('/backfills/bf1/cancel?agent=press-2', {});
    expect(stopped).toMatchObject({ status: 200, json: { agent: device.id, skipped } });
    expect(asked[1]).toMatchObject({ action: 'cancel', run: 'bf1' });
    const audit = await control.get('/audit?limit=1');
    expect(audit.json.items).toMatchObject([{ action: 'run.cancel.outcome', subject: 'bf1' }]);
    expect((await control.post('/backfills/bf1/cancel', {})).status).toBe(400);
    expect((await control.post('/backfills/bf1/cancel?agent=nobody', {})).status).toBe(404);
  });
});
