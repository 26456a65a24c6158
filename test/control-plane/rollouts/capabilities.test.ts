/** Jobs go only to agents that can run them, and everybody is told why not. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  capabilitiesNeeded,
  missingOf,
  missingText,
} from '@runnel/control-plane/rollouts/capabilities.ts';
import { place, placedJob } from '@runnel/control-plane/rollouts/placement.ts';
import {
  placementReport,
  placementWarnings,
} from '@runnel/control-plane/rollouts/placement-report.ts';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { batchJob, CAN_RUN } from '../../support/runs.ts';
import { waitFor } from '../../support/wait-for.ts';

const document = (tasks: readonly object[]) => ({
  ...{ apiVersion: 'runnel/v1', kind: 'BatchJob', metadata: { name: 'nightly' } },
  tasks,
});
const VALUE = { id: 'a', value: { value: 1 } };
const jobOf = (tasks: readonly object[]) =>
  placedJob({ name: 'nightly', version: 1, hash: 'h', document: document(tasks) });
const agent = (id: string) => ({
  ...{ id, name: `press ${id}`, labels: {}, status: 'approved' },
  platform: { os: 'linux', arch: 'arm64' },
});

describe('what a job needs of an agent', () => {
  it('is batch, the kinds of its tasks, and what those ask for', () => {
    expect(capabilitiesNeeded(document([VALUE, { id: 'b', needs: ['a'] }]))).toEqual([
      'batch',
      'task:value',
    ]);
    const sql = {
      id: 's',
      sql: { query: 'SELECT {{ partition.start }} AS x', output: { csv: 'x.csv' } },
    };
    expect(capabilitiesNeeded(document([sql, { ...sql, id: 't' }]))).toEqual([
      'batch',
      'sql',
      'task:sql',
    ]);
    expect(capabilitiesNeeded({ kind: 'StreamJob' })).toEqual([]);
    expect(() => capabilitiesNeeded({ kind: 'BatchJob' })).toThrow(/apiVersion/);
  });

  it('is missing, there, or not known', () => {
    expect(missingOf([], undefined)).toBeUndefined();
    expect(missingOf(['batch'], ['stream', 'batch'])).toBeUndefined();
    expect(missingOf(['batch', 'sql'], ['batch'])).toEqual(['sql']);
    expect(missingOf(['batch'], undefined)).toBeNull();
    expect(missingText(['sql', 'task:sql'])).toBe(
      'the device lacks sql (DuckDB is not installed there), task:sql',
    );
  });

  it('keeps the job from agents without it, and from those that have not said', () => {
    const jobs = [jobOf([VALUE])];
    const named = (capabilities?: readonly string[]) => {
      const { placed, blocked } = place({ ...agent('a1'), capabilities }, jobs);
      return [placed.length, blocked.map(({ verdict, reasons }) => [verdict, ...reasons])];
    };
    expect(named(CAN_RUN)).toEqual([1, []]);
    expect(named(['stream', 'batch'])).toEqual([0, [['blocked', 'the device lacks task:value']]]);
    const silent = ['unknown', 'the device has not said yet what it can run'];
    expect(named()).toEqual([0, [silent]]);
  });

  it('is warned of when a job is submitted', () => {
    const can: Record<string, readonly string[]> = { a1: CAN_RUN, a2: ['stream', 'batch'] };
    const agents = ['a1', 'a2', 'a3'].map((id) => ({ ...agent(id), capabilities: can[id] }));
    const told = (of: typeof agents) =>
      placementWarnings(jobOf([VALUE]), placementReport(jobOf([VALUE]), of));
    expect(told(agents)).toEqual([
      '1 of 3 agents cannot run it and will not get it (press a2: the device lacks task:value)',
      '1 of 3 agents did not say yet what can run there; the job comes there when it can',
    ]);
    expect(told(agents.slice(0, 1))).toEqual([]);
  });
});

describe('a batch job in the fleet', () => {
  let control: TestControlPlane;
  let device: Device;

  beforeAll(async () => {
    control = await TestControlPlane.start();
    device = await Device.join(control, { name: 'press-1' });
  });

  afterAll(async () => {
    await device.close();
    await control.close();
  });

  const jobAgent = async () => (await control.get('/jobs/nightly')).json.agents[0];
  const desired = async () => (await device.desired()).jobs.map(({ name }) => name);
  const events = async (): Promise<string[]> => {
    const { json } = await control.get('/events?type=placement');
    return json.items.map((event: { message: string }) => event.message);
  };

  it('waits for an agent that has not said what it can run', async () => {
    const { json } = await control.post('/jobs', batchJob('nightly'));
    expect(json).toMatchObject({
      agents: { desired: 0 },
      warnings: [
        '1 of 1 agent did not say yet what can run there; the job comes there when it can',
      ],
    });
    expect(await jobAgent()).toMatchObject({
      name: 'press-1',
      desiredVersion: null,
      notPlaced: 'the device has not said yet what it can run',
    });
    expect(await desired()).toEqual([]);
    expect(await events()).toEqual([]);
  });

  it('is kept from one that cannot run it, which is told once', async () => {
    await device.beat({ capabilities: ['stream'] });
    const reason = 'the device lacks batch (its agent runs no batch jobs: update it), task:value';
    await waitFor('the verdict', async () => (await jobAgent()).notPlaced === reason);
    expect(await jobAgent()).toMatchObject({ phase: 'refused', desiredVersion: null });
    for (let n = 0; n < 3; n += 1) await device.beat({ capabilities: ['stream'] });
    expect((await control.post('/jobs', batchJob('nightly'))).json.warnings).toEqual([
      `1 of 1 agent cannot run it and will not get it (press-1: ${reason}): it runs nowhere`,
    ]);
    await waitFor('the event', async () => (await events()).length > 0);
    expect(await events()).toEqual([`nightly version 1 is not placed: ${reason}`]);
    const start = await control.post('/runs', { job: 'nightly', agents: ['press-1'] });
    expect(start).toMatchObject({
      status: 409,
      json: { detail: `nightly is not placed on press-1: ${reason}` },
    });
  });

  it('comes to it once it can, and goes again when it cannot any more', async () => {
    await device.beat({ capabilities: CAN_RUN });
    await waitFor('the job', async () => (await desired()).includes('nightly'));
    expect(device.commands.map(({ name }) => name)).toContain('changed');
    expect(await jobAgent()).toMatchObject({ desiredVersion: 1, notPlaced: null });
    expect((await control.post('/jobs', batchJob('nightly'))).json.warnings).toEqual([]);
    // What it was placed by is stored at once: a crash now must not take the job from it.
    const store = await openStore(join(control.dataDir, 'store.db'));
    const row = await store.db.selectFrom('agents').select('last_heartbeat').executeTakeFirst();
    await store.close();
    expect(row?.last_heartbeat).toContain('"task:value"');
    await device.beat({ capabilities: ['stream', 'batch'] });
    await waitFor('it to go', async () => (await desired()).length === 0);
    await waitFor('the event', async () => (await events()).length === 2);
  });
});
