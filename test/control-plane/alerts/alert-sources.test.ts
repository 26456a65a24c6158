/** Promises, runs and a thousand rows at once as alerts of a whole control plane. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AlertItem } from '@runnel/control-plane/http/alert-messages.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { httpServer } from '../../support/http-server.ts';
import { runRowOf } from '../../support/runs.ts';
import { waitFor } from '../../support/wait-for.ts';

const JOB = `
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: press }
sla:
  - { name: fresh, freshness: 1h }
sources: { in: { mqtt: { topic: "press/+" } } }
steps: [{ filter: "true" }]
sinks: [{ from: filter, results: { dataset: rms } }]
`;
const STORM = 1000;
const yaml = { headers: { 'content-type': 'application/yaml' } };

let control: TestControlPlane;
let device: Device;

beforeAll(async () => {
  control = await TestControlPlane.start();
  device = await Device.join(control, { name: 'press-1', labels: { site: 'lyon' } });
  await device.beat({ capabilities: ['stream'], sentAt: Date.now() });
  const applied = await control.post('/jobs', JOB, yaml);
  expect(applied.status, applied.text).toBeLessThan(300);
});
afterAll(async () => {
  await device.close();
  await control.close();
});

/** The newest of a source, once it is as wanted. */
async function alert(source: string, wanted: Partial<AlertItem>): Promise<AlertItem> {
  return await waitFor(`an alert of ${source} that is ${JSON.stringify(wanted)}`, async () => {
    const [found] = (await control.get(`/alerts?source=${source}&limit=1`)).json
      .items as AlertItem[];
    const is = Object.entries(wanted).every(
      ([name, value]) => found?.[name as keyof AlertItem] === value,
    );
    return is && found;
  });
}

it('a promise at risk is a warning, breached an error of one alert, kept its end', async () => {
  const since = Date.now();
  const beat = (verdict: SlaReport['verdict'], cause: string): Promise<void> => {
    const report = { job: 'press', sla: 'fresh', verdict, since, cause };
    return device.beat({ capabilities: ['stream'], slas: [report], sentAt: Date.now() });
  };
  await beat('atRisk', 'no record for 50m');
  const risk = await alert('sla', { state: 'firing', severity: 'warning' });
  expect(risk).toMatchObject({
    title: 'press: fresh is at risk on press-1',
    message: 'no record for 50m',
    labels: { job: 'press', sla: 'fresh', site: 'lyon', agent: 'press-1' },
  });
  await beat('breached', 'no record for 61m');
  const breached = await alert('sla', { state: 'firing', severity: 'error' });
  expect(breached).toMatchObject({
    id: risk.id,
    title: 'press: fresh is breached on press-1',
    message: 'no record for 61m',
  });
  await beat('met', 'a record 1s ago');
  expect((await alert('sla', { state: 'resolved' })).id).toBe(risk.id);
});

it('a promise that is made no more is no alert: paused, left out, or its device gone', async () => {
  const other = await Device.join(control, { name: 'press-2' });
  const since = Date.now();
  const [job, sla, verdict, cause] = ['press', 'fresh', 'breached', 'no record'] as const;
  const breach = async (of: Device): Promise<AlertItem> => {
    const slas = [{ job, sla, verdict, since, cause }];
    await of.beat({ capabilities: ['stream'], slas, sentAt: Date.now() });
    return await alert('sla', { state: 'firing', agent: of.id });
  };
  const over = (of: Device) => alert('sla', { state: 'resolved', agent: of.id });
  const first = await breach(device);
  expect((await control.post('/jobs/press/pause')).status).toBeLessThan(300);
  expect((await over(device)).id).toBe(first.id);
  expect((await control.post('/jobs/press/resume')).status).toBeLessThan(300);
  await breach(device);
  await control.post('/jobs', JOB.replace(/^sla:\n.*\n/m, ''), yaml);
  await over(device);
  await control.post('/jobs', JOB, yaml);
  await breach(other);
  expect((await control.post(`/agents/${other.id}/revoke`)).status).toBeLessThan(300);
  await over(other);
  const counts = await control.get('/slas');
  expect(counts.json.items.filter(({ agent }: { agent: string }) => agent === other.id)).toEqual(
    [],
  );
  await other.close();
});

it('failed partitions of a job are one alert, until each has succeeded', async () => {
  const now = Date.now();
  const run = (id: string, partition: string, state: 'failed' | 'success') => {
    const error = { class: 'data', code: 'quality', message: `rows of ${partition} are missing` };
    const times = { at: now, queuedAt: now, startedAt: now, endedAt: now };
    const why = state === 'failed' ? { error } : {};
    return runRowOf({ run: id, partition, state, ...times, ...why });
  };
  await device.send([run('r1', '2026-11-22', 'failed')]);
  const first = await alert('run', { state: 'firing' });
  expect(first).toMatchObject({ title: 'nightly failed on press-1', severity: 'error' });
  expect(first.message).toContain('2026-11-22: rows of 2026-11-22 are missing');
  await device.send([run('r2', '2026-11-23', 'failed')]);
  await device.send([run('r3', '2026-11-22', 'success')]);
  // A look later the other partition still holds it open.
  const [type, axis, severity] = ['storage', 'storage', 'warning'] as const;
  const full = { type, axis, severity, reason: 'Full', message: 'full', since: 1 };
  await device.beat({ conditions: [full], sentAt: Date.now() });
  await alert('condition', { state: 'firing' });
  expect((await control.get(`/alerts/${first.id}`)).json.state).toBe('firing');
  await device.send([run('r4', '2026-11-23', 'success')]);
  expect((await alert('run', { state: 'resolved' })).id).toBe(first.id);
});

it(`${STORM} alerts at once are one notification, and the API answers meanwhile`, async () => {
  const hook = await httpServer(() => ({}));
  const settings = { url: hook.url, groupWait: '2s', groupInterval: '1s' };
  const body = { kind: 'webhook', selector: 'source=job', settings };
  await control.request('PUT', '/api/v1/receivers/hook', { body });
  const value = { status: 'firing', severity: 'critical', p95: 0.9 };
  const of = { kind: 'alert', job: 'press', step: 'hot', dataset: 'hot' } as const;
  const keys = Array.from({ length: STORM }, (_, index) => `p${index}`);
  for (let at = 0; at < STORM; at += 100) {
    const time = Date.now();
    await device.send(keys.slice(at, at + 100).map((key) => ({ ...of, key, time, value })));
  }
  const answers: number[] = [];
  const ask = async (path: string): Promise<void> => {
    const began = performance.now();
    expect((await control.get(path)).status).toBe(200);
    answers.push(performance.now() - began);
  };
  await waitFor(
    'the storm to be told',
    async () => {
      await ask('/alerts?state=open&limit=200');
      await ask('/agents');
      return hook.asked[0];
    },
    20_000,
  );
  const open = (await control.get(`/alerts?state=open&source=job&limit=1000`)).json.items;
  expect(open).toHaveLength(STORM);
  const told = hook.asked.map((asked) => JSON.parse(asked.body));
  expect(told).toHaveLength(1);
  expect(told[0].alerts).toHaveLength(limits.notificationAlertsMax);
  expect(told[0].more).toBe(STORM - limits.notificationAlertsMax);
  expect(Buffer.byteLength(hook.asked[0]!.body)).toBeLessThan(1024 * 1024);
  const median = answers.toSorted((a, b) => a - b)[Math.floor(answers.length / 2)];
  expect(median).toBeLessThan(500);
  const log = (await control.get('/notifications?receiver=hook')).json.items;
  expect(log).toMatchObject([{ outcome: 'sent' }]);
}, 60_000);
