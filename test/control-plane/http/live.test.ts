/** The websocket: a snapshot, then what changed, at most once a second and view. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { LiveMessage } from '@runnel/control-plane/http/live-messages.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, jobReportOf } from '../../support/device.ts';
import { runRowOf, taskRowOf } from '../../support/runs.ts';
import { waitFor } from '../../support/wait-for.ts';

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

type Kind = LiveMessage['type'];
type Of<K extends Kind> = Extract<LiveMessage, { type: K }>;

interface Live {
  readonly messages: LiveMessage[];
  readonly closed: () => number | undefined;
  readonly send: (request: unknown) => void;
  readonly next: <K extends Kind>(kind: K, matches?: (message: Of<K>) => boolean) => Promise<Of<K>>;
}

function connect(headers: Record<string, string>): Live {
  const socket = new WebSocket(`${control.url.replace('http', 'ws')}/api/v1/live`, { headers });
  onTestFinished(() => socket.terminate());
  const messages: LiveMessage[] = [];
  let code: number | undefined;
  socket.on('message', (data: Buffer) => {
    messages.push(JSON.parse(data.toString('utf8')) as LiveMessage);
  });
  socket.on('close', (closed) => (code = closed));
  socket.on('error', () => (code ??= -1));
  return {
    messages,
    closed: () => code,
    send: (request) => socket.send(typeof request === 'string' ? request : JSON.stringify(request)),
    next: (kind, matches = () => true) =>
      waitFor(`a ${kind}`, () => {
        const index = messages.findIndex(
          (message) => message.type === kind && matches(message as Of<typeof kind>),
        );
        return index < 0 ? undefined : (messages.splice(0, index + 1).at(-1) as Of<typeof kind>);
      }),
  };
}

const asAdmin = (): Live => connect({ authorization: `Bearer ${control.adminToken}` });

const job = `
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: live-job }
sources:
  readings: { mqtt: { topic: "press/+/vibration" } }
steps:
  - filter: "payload.rms > 1"
sinks:
  - { results: { dataset: live } }
`;

describe('the live view', () => {
  it('begins with the fleet and goes on with what changed', async () => {
    const live = asAdmin();
    const snapshot = await live.next('snapshot');
    expect(snapshot.agents).toMatchObject([{ id: device.id, connection: 'never' }]);
    await device.beat();
    const delta = await live.next('delta', ({ agents }) => agents[0]?.connection === 'online');
    expect(delta.agents).toMatchObject([{ id: device.id, name: 'press-1' }]);
  });

  it('sends a heartbeat that changes nothing as "seen", not as a whole agent', async () => {
    await device.beat();
    const live = asAdmin();
    await live.next('snapshot', ({ agents }) => agents[0]?.connection === 'online');
    await device.beat();
    const delta = await live.next('delta', ({ seen }) => seen.length > 0);
    expect(delta).toMatchObject({ agents: [], seen: [{ id: device.id }], jobs: [] });
  });

  it('sends many changes of one second as one delta', async () => {
    const live = asAdmin();
    await live.next('snapshot');
    for (let seq = 0; seq < 50; seq += 1) {
      const conditions = [
        {
          type: 'storage',
          axis: 'storage',
          severity: 'warning',
          reason: `R${seq}`,
          message: '',
          since: 1,
        },
      ] as const;
      await device.beat({ conditions: [...conditions] });
    }
    await live.next('delta', ({ agents }) => agents[0]?.conditions[0]?.reason === 'R49');
    const deltas = live.messages.filter((message) => message.type === 'delta');
    expect(deltas.length).toBeLessThan(5);
  });

  it('shows jobs that come, run and go, and agents that go', async () => {
    const live = asAdmin();
    await live.next('snapshot');
    await control.post('/jobs', job);
    const came = await live.next('delta', ({ jobs }) => jobs.length > 0);
    expect(came.jobs).toMatchObject([{ name: 'live-job', agents: { desired: 1, running: 0 } }]);
    await device.beat({ jobs: [jobReportOf({ name: 'live-job' })] });
    await live.next('delta', ({ jobs }) => jobs[0]?.agents.running === 1);
    await control.request('DELETE', '/api/v1/jobs/live-job');
    await live.next('delta', ({ removedJobs }) => removedJobs.includes('live-job'));

    const gone = await Device.join(control, { name: 'gone' });
    await live.next('delta', ({ agents }) => agents.some((agent) => agent.id === gone.id));
    await control.post(`/agents/${gone.id}/revoke`);
    await control.request('DELETE', `/api/v1/agents/${gone.id}`);
    await live.next('delta', ({ removed }) => removed.includes(gone.id));
    await gone.close();
  });

  it('follows one agent in full', async () => {
    const live = asAdmin();
    await live.next('snapshot');
    live.send({ subscribe: { view: 'agent', id: device.id } });
    const first = await live.next('agent');
    expect(first.agent).toMatchObject({ id: device.id, fixedLabels: [] });
    await device.beat({ jobs: [jobReportOf({ name: 'x', recordsIn: 77 })] });
    const later = await live.next('agent', ({ agent }) => agent.jobs[0]?.recordsIn === 77);
    expect(later.agent.host?.cpuPercent).toBe(12.5);
  });

  it('follows a dataset from a cursor, every row once', async () => {
    const before = await control.get('/datasets/rms/results');
    const live = asAdmin();
    await live.next('snapshot');
    live.send({ subscribe: { view: 'dataset', dataset: 'rms', after: before.json.next } });
    await live.next('results');
    const seqs: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await device.send([{}, {}, {}]);
      const results = await live.next('results', ({ items }) => items.length > 0);
      seqs.push(...results.items.map((item) => item.seq));
    }
    expect(seqs).toEqual([...new Set(seqs)]);
    const stored = await control.get(`/datasets/rms/results?after=${before.json.next}&limit=1000`);
    await waitFor('all rows', () => {
      for (const message of live.messages.splice(0)) {
        if (message.type === 'results') seqs.push(...message.items.map((item) => item.seq));
      }
      return seqs.length >= stored.json.items.length;
    });
    expect(seqs).toEqual(stored.json.items.map((item: { seq: number }) => item.seq));
  });

  it('answers what it does not understand, and goes on', async () => {
    const live = asAdmin();
    await live.next('snapshot');
    for (const wrong of ['{', '[]', { subscribe: { view: 'all' } }, { subscribe: 1 }]) {
      live.send(wrong);
      expect((await live.next('error')).code).toBe('request_invalid');
    }
    live.send({ subscribe: { view: 'agent', id: 'nobody' } });
    expect((await live.next('error')).code).toBe('not_found');
    for (let count = 0; count < 25; count += 1) {
      live.send({ subscribe: { view: 'dataset', dataset: `d${count}` } });
    }
    expect((await live.next('error')).code).toBe('views_too_many');
    live.send({ subscribe: { view: 'fleet' } });
    await live.next('snapshot');
  });

  it('pings, so that a page notices a server that is gone', async () => {
    const live = asAdmin();
    expect((await live.next('ping')).at).toBeTypeOf('number');
  });

  it('is closed to who is not signed in, to other sites, and after a revocation', async () => {
    const nobody = connect({});
    await waitFor('the refusal', () => nobody.closed() !== undefined);
    expect(nobody.messages).toEqual([]);

    const link = await control.post('/sign-in-links');
    const path = link.json.url.slice(control.url.length);
    const session = await control.request('GET', path, { token: null });
    const cookie = session.headers.get('set-cookie')!.split(';')[0]!;
    const foreign = connect({ cookie, origin: 'https://evil.example' });
    await waitFor('the refusal', () => foreign.closed() !== undefined);
    expect(foreign.messages).toEqual([]);
    const own = connect({ cookie, origin: control.url });
    await own.next('snapshot');

    const made = await control.post('/tokens', { role: 'viewer' });
    const live = connect({ authorization: `Bearer ${made.json.token}` });
    await live.next('snapshot');
    await control.request('DELETE', `/api/v1/tokens/${made.json.id}`);
    await waitFor('the end', () => live.closed() === 4401);
  });

  it('refuses a message that is far too long', async () => {
    const live = asAdmin();
    await live.next('snapshot');
    live.send('x'.repeat(100_000));
    await waitFor('the end', () => live.closed() !== undefined);
  });
});

describe('the live views of runs', () => {
  it('tell runs that changed, of one job or of all, and one run whole', async () => {
    await device.send([runRowOf({ run: 'live1' })]);
    const live = asAdmin();
    await live.next('snapshot');
    live.send({ subscribe: { view: 'runs', job: 'nightly' } });
    expect(await live.next('runs')).toMatchObject({ job: 'nightly', items: [], more: false });
    live.send({ subscribe: { view: 'run', run: 'live1' } });
    expect((await live.next('run')).run).toMatchObject({ run: 'live1', state: 'running' });
    await device.send([
      taskRowOf({ run: 'live1' }),
      runRowOf({ run: 'live1', state: 'success', endedAt: 3000 }),
      runRowOf({ run: 'live2' }),
      runRowOf({ run: 'foreign' }, 'other-job'),
    ]);
    const { items } = await live.next('runs');
    expect(items).toMatchObject([
      { run: 'live2', state: 'running' },
      { run: 'live1', state: 'success', tasks: [{ id: 'daily', state: 'success' }, {}] },
    ]);
    const one = await live.next('run');
    expect(one.run).toMatchObject({ state: 'success', instances: [{ task: 'daily' }] });
    live.send({ unsubscribe: { view: 'run', run: 'live1' } });
    live.send({ subscribe: { view: 'runs' } });
    await live.next('runs', ({ job }) => job === null);
    await device.send([runRowOf({ run: 'live1', state: 'failed', tries: 2 })]);
    await live.next('runs', ({ job }) => job === null);
    expect(live.messages.filter(({ type }) => type === 'run')).toEqual([]);
  });

  it('send many changes of a second once', async () => {
    const live = asAdmin();
    await live.next('snapshot');
    live.send({ subscribe: { view: 'runs' } });
    await live.next('runs');
    for (let tries = 1; tries <= 30; tries += 1) {
      await device.send([runRowOf({ run: 'busy', tries })]);
    }
    await live.next('runs', ({ items }) => items[0]?.tries === 30);
    expect(live.messages.filter(({ type }) => type === 'runs').length).toBeLessThan(5);
  });

  it('refuse a run that there is not, and more views than a connection may have', async () => {
    const live = asAdmin();
    await live.next('snapshot');
    live.send({ subscribe: { view: 'run', run: 'nowhere' } });
    expect(await live.next('error')).toMatchObject({ code: 'not_found' });
    for (let n = 0; n < 21; n += 1) live.send({ subscribe: { view: 'runs', job: `job-${n}` } });
    expect(await live.next('error')).toMatchObject({ code: 'views_too_many' });
  });
});
