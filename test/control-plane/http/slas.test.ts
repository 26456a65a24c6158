/** Promises over HTTP and on the command line: a real control plane, a device that says things. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SlaItem } from '@runnel/control-plane/http/sla-messages.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { waitFor } from '../../support/wait-for.ts';
import { runnel } from '../cli/cli-terminal.ts';

const JOB = `
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: press }
sla:
  - { name: fresh, freshness: 1h, objective: 90% }
sources: { in: { mqtt: { topic: "press/+" } } }
steps: [{ filter: "true" }]
sinks: [{ from: filter, results: { dataset: rms } }]
`;

const YAML = { headers: { 'content-type': 'application/yaml' } };

let control: TestControlPlane;
let device: Device;
let began: number;

async function beat(verdict: SlaReport['verdict'], since: number): Promise<void> {
  const report = { job: 'press', sla: 'fresh', verdict, since, cause: `${verdict} on the device` };
  await device.beat({ intervalMs: 500, capabilities: ['stream'], slas: [report] });
}

const slas = async (query = ''): Promise<SlaItem[]> =>
  (await control.get(`/slas${query}`)).json.items;

async function verdictIs(verdict: string): Promise<SlaItem> {
  let found: SlaItem | undefined;
  await waitFor(
    `the promise to be ${verdict}`,
    async () => {
      [found] = await slas();
      return found?.verdict === verdict;
    },
    20_000,
  );
  return found!;
}

function told(time: number, verdict: string, was: object | null): Partial<Row> {
  const value = {
    ...{ sla: 'fresh', kind: 'freshness', verdict, was, target: '1h', severity: 'error' },
    ...{ cause: `${verdict} at the time`, message: `fresh is ${verdict}` },
  };
  return { kind: 'event', dataset: 'sla', step: '', key: 'fresh', time, value };
}

const admin = (...args: string[]) =>
  runnel(args, {
    columns: 100,
    env: { RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken },
  });

beforeAll(async () => {
  control = await TestControlPlane.start();
  device = await Device.join(control, { name: 'press-1' });
  began = Date.now();
  await device.beat({ intervalMs: 500, capabilities: ['stream'] });
  expect((await control.post('/jobs', JOB, YAML)).status).toBeLessThan(300);
});

afterAll(async () => {
  await device.close();
  await control.close();
});

describe('a promise', () => {
  it('has the verdict of its device, in the API and as a table', async () => {
    await beat('met', began);
    const item = await verdictIs('met');
    expect(item).toMatchObject({
      ...{ job: 'press', agent: device.id, agentName: 'press-1', sla: 'fresh' },
      ...{ kind: 'freshness', target: '1h', deviceVerdict: null },
    });
    const { code, out } = await admin('sla', '-o', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject([{ job: 'press', agent: device.id, verdict: 'met' }]);
    expect((await admin('sla', 'press', '--agent', 'press-1')).out).toMatch(
      /^JOB +SLA +AGENT +VERDICT +SINCE +TARGET +CAUSE\npress +fresh +press-1 +met /,
    );
    expect((await admin('sla', '--verdict', 'breached')).out).toBe('no promises are judged\n');
    expect((await admin('sla', 'no-such-job')).code).not.toBe(0);
  });

  it('is unreachable while its device is silent, and has its verdicts once it told', async () => {
    await beat('met', began);
    const [before] = await slas();
    expect(before?.verdict).toBe('met');
    const item = await verdictIs('unreachable');
    expect(item).toMatchObject({ deviceVerdict: 'met' });
    expect(item.cause).toMatch(/^the device has not been heard for /);
    const silentAt = item.since;
    const breachedAt = silentAt + 1;
    await waitFor('some time to pass', () => Date.now() > silentAt + 300);
    // It comes back: first its heartbeat, then what it has to tell of the time between.
    await beat('breached', breachedAt);
    await verdictIs('breached');
    const path = `/slas/history?job=press&sla=fresh&agent=press-1`;
    const early = (await control.get(path)).json.items as { verdict: string }[];
    expect(early.map(({ verdict }) => verdict)).toContain('unreachable');
    await device.send([
      told(began, 'met', null),
      told(breachedAt, 'breached', { verdict: 'met', since: began }),
    ]);
    const { items } = (await control.get(path)).json;
    expect(items.map((each: { verdict: string }) => each.verdict)).toEqual(['met', 'breached']);
    expect(items[1]).toMatchObject({ from: breachedAt, to: null, judge: 'device' });
    const history = await admin('sla', 'history', 'press', 'fresh', '--agent', 'press-1');
    expect(history.out).toMatch(/breached +device +breached/);
    const json = await admin('sla', 'history', 'press', 'fresh', '-o', 'json');
    expect(JSON.parse(json.out).items).toHaveLength(2);
  });

  it('has a compliance and an error budget, for the job and for each agent', async () => {
    const { items } = (await control.get('/slas/compliance?job=press&over=1h')).json;
    expect(items).toMatchObject([
      { agent: null, sla: 'fresh', breaches: 1, unreachableMs: 0, objective: 0.9 },
      { agent: device.id, breaches: 1 },
    ]);
    const [all] = items;
    expect(all.compliance).toBeCloseTo(1 - all.breachedMs / all.knownMs, 9);
    expect(all.budgetLeft).toBeCloseTo(1 - all.breachedMs / (all.knownMs * 0.1), 6);
    expect((await admin('sla', 'compliance', 'press')).out).toMatch(/^SLA +AGENT +KEPT/);
    expect((await control.get('/slas/compliance?job=press&over=soon')).status).toBe(400);
    expect((await control.get('/slas/history?job=nothing')).status).toBe(404);
  });

  it('is counted by verdict in the metrics', async () => {
    const { text } = await control.request('GET', '/metrics');
    expect(text).toContain('runnel_sla_verdict{job="press",sla="fresh",verdict="breached"} 1');
  });
});
