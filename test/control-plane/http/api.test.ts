/** The API end to end: a device that reports, jobs that reach it, results that come back. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, jobReportOf, sourceReportOf } from '../../support/device.ts';
import { waitFor } from '../../support/wait-for.ts';

const jobText = (name: string, selector: string, dataset = 'loud', threshold = 1): string => `
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: ${name}, labels: { team: maintenance } }
placement: { selector: "${selector}" }
sources:
  readings: { mqtt: { topic: "press/+/vibration" } }
steps:
  - filter: "payload.rms > ${threshold}"
sinks:
  - { results: { dataset: ${dataset} } }
`;

let control: TestControlPlane;
let device: Device;

beforeAll(async () => {
  control = await TestControlPlane.start();
  device = await Device.join(control, { name: 'press-4', labels: { site: 'lyon' } });
});

afterAll(async () => {
  await device.close();
  await control.close();
});

describe('agents', () => {
  it('are never connected until they are heard, then online', async () => {
    const before = await control.get('/agents/press-4');
    expect(before.json).toMatchObject({
      id: device.id,
      name: 'press-4',
      labels: { site: 'lyon' },
      status: 'approved',
      connection: 'never',
      lastSeenAt: null,
    });
    await device.beat();
    const item = await waitFor('online', async () => {
      const { json } = await control.get('/agents?connection=online');
      return json.items[0];
    });
    expect(item).toMatchObject({ id: device.id, version: '0.1.0', conditions: [], jobs: [] });
    expect(item.lastSeenAt).toBeTypeOf('number');
    const host = await control.get(`/agents/${device.id}/host`);
    expect(host.json.items[0]).toMatchObject({ cpuPercent: 12.5, load1: 0.5 });
  });

  it('are found by id before name, and by every name that can be written', async () => {
    const impostor = await Device.join(control, { name: device.id });
    expect((await control.get(`/agents/${device.id}`)).json.id).toBe(device.id);
    expect((await control.get(`/agents/${impostor.id}`)).json.name).toBe(device.id);
    const names = ['0123456789abcdefghjk', 'line 7/höhe', '100%25', 'a?b#c', '<b>&amp;'];
    for (const name of names) {
      const named = await Device.join(control, { name });
      const found = await control.get(`/agents/${encodeURIComponent(name)}`);
      expect(found.json, name).toMatchObject({ id: named.id, name });
      const events = await control.get(`/agents/${encodeURIComponent(name)}/events`);
      expect(events.status, name).toBe(200);
      await named.close();
    }
    expect((await control.get('/agents/%E0%A4%A')).status).toBe(404);
    await impostor.close();
  });

  it('are filtered by selector and paged by name', async () => {
    const others = await Promise.all(
      ['a-1', 'b-1', 'c-1'].map((name) =>
        Device.join(control, { name, labels: { site: 'turin' } }),
      ),
    );
    const page = await control.get('/agents?selector=site%3Dturin&limit=2');
    expect(page.json.items.map((item: { name: string }) => item.name)).toEqual(['a-1', 'b-1']);
    const rest = await control.get(`/agents?selector=site%3Dturin&limit=2&after=${page.json.next}`);
    expect(rest.json.items.map((item: { name: string }) => item.name)).toEqual(['c-1']);
    expect(rest.json.next).toBeNull();
    const wrong = await control.get('/agents?selector=site%20in%20lyon');
    expect(wrong).toMatchObject({ status: 400, json: { code: 'selector_invalid' } });
    expect(wrong.json.hint).toMatch(/site in/);
    for (const other of others) await other.close();
  });

  it('keep labels that the join token fixed and change the others', async () => {
    const token = await control.joinToken({ labels: { line: '4' } });
    const fixed = await Device.join(control, { name: 'fixed-1', labels: { a: 'b' }, token });
    const path = `/api/v1/agents/${fixed.id}`;
    const refused = await control.request('PATCH', path, { body: { labels: { line: '5' } } });
    expect(refused).toMatchObject({ status: 409, json: { code: 'label_fixed_conflict' } });
    const changed = await control.request('PATCH', path, {
      body: { labels: { a: null, role: 'press' }, name: 'press-5' },
    });
    expect(changed.json).toMatchObject({ name: 'press-5', labels: { line: '4', role: 'press' } });
    expect(changed.json.fixedLabels).toEqual(['line']);
    const taken = await control.request('PATCH', path, { body: { name: 'press-4' } });
    expect(taken).toMatchObject({ status: 409, json: { code: 'name_taken' } });
    const bent = await control.request('PATCH', path, { body: { name: 'press\n4' } });
    expect(bent.status).toBe(400);
    expect(bent.json.detail).toContain('control characters');
    const html = await control.request('PATCH', path, { body: { labels: { x: '<b>' } } });
    expect(html).toMatchObject({ status: 400, json: { code: 'request_invalid' } });
    await fixed.close();
  });

  it('wait for a person when their name belongs to another key', async () => {
    const first = await Device.join(control, { name: 'twin' });
    await expect(Device.join(control, { name: 'twin' })).rejects.toThrow('waits for approval');
    const pending = await control.get('/agents?status=pending');
    const [waiting] = pending.json.items;
    expect(waiting).toMatchObject({ name: 'twin', status: 'pending' });
    const approved = await control.post(`/agents/${waiting.id}/approve`);
    expect(approved.json).toMatchObject({ status: 'approved' });
    const again = await control.post(`/agents/${waiting.id}/approve`);
    expect(again.status).toBe(409);
    const byName = await control.get('/agents/twin');
    expect(byName).toMatchObject({ status: 409, json: { code: 'agent_name_conflict' } });
    expect(byName.json.hint).toContain(first.id);
    await first.close();
  });

  it('show what their sources read, as far as they say it', async () => {
    const reading = await Device.join(control, { name: 'reading' });
    const said = sourceReportOf({ id: 'mqtt-1', kind: 'mqtt', label: 'press/+/vibration' });
    await reading.beat({ sources: [said, sourceReportOf({ id: 'host-1' })] });
    const { sources } = await waitFor('the heartbeat', async () => {
      const { json } = await control.get('/agents/reading');
      return json.sources.length > 0 && json;
    });
    expect(sources).toEqual([said, { ...sourceReportOf({ id: 'host-1' }), label: null }]);
    await reading.close();
  });

  it('show why records of a job became dead letters, as far as they say it', async () => {
    const telling = await Device.join(control, { name: 'telling' });
    const by = { 'keep: missing_key': 2 };
    const said = jobReportOf({ name: 'new', deadLetters: 2, deadLettersBy: by });
    await telling.beat({ jobs: [said, jobReportOf({ name: 'old', deadLetters: 2 })] });
    const { jobs } = await waitFor('the heartbeat', async () => {
      const { json } = await control.get('/agents/telling');
      return json.jobs.length > 1 && json;
    });
    expect(jobs).toMatchObject([
      { name: 'new', deadLetters: 2, deadLettersBy: by },
      { name: 'old', deadLetters: 2, deadLettersBy: {} },
    ]);
    await telling.close();
  });

  it('are cut off when revoked, and can then be forgotten', async () => {
    const gone = await Device.join(control, { name: 'gone' });
    const path = `/api/v1/agents/${gone.id}`;
    const early = await control.request('DELETE', path);
    expect(early).toMatchObject({ status: 409, json: { code: 'agent_not_revoked' } });
    const revoked = await control.post(`/agents/${gone.id}/revoke`);
    expect(revoked.json.status).toBe('revoked');
    await gone.closed;
    expect((await control.request('DELETE', path)).status).toBe(204);
    expect((await control.get(`/agents/${gone.id}`)).status).toBe(404);
    const events = await waitFor('the events', async () => {
      const { json } = await control.get(`/events?agent=${gone.id}`);
      return json.items.length >= 2 ? json.items : undefined;
    });
    expect(events.map((event: { message: string }) => event.message)).toEqual([
      'revoked',
      'enrolled as gone',
    ]);
    await gone.close();
  });
});

describe('jobs', () => {
  it('reach the agents that they select, which say what they run', async () => {
    const text = jobText('press', 'site=lyon');
    const dry = await control.post('/jobs?dryRun=true', text);
    expect(dry).toMatchObject({ status: 200, json: { created: true, dryRun: true, version: 1 } });
    expect((await control.get('/jobs/press')).status).toBe(404);

    const applied = await control.post('/jobs', text);
    expect(applied).toMatchObject({
      status: 201,
      json: { name: 'press', version: 1, created: true, agents: { desired: 1 } },
    });
    const told = await waitFor('the command', () =>
      device.commands.findLast((command) => command.name === 'changed'),
    );
    const document = await device.desired();
    expect(told.body).toEqual({ v: 1, revision: document.revision });
    expect(document.jobs).toMatchObject([{ name: 'press', version: 1, hash: applied.json.hash }]);
    const pending = await control.get('/jobs');
    expect(pending.json.items[0].agents).toEqual({ desired: 1, running: 0, failed: 0, unknown: 0 });

    const { revision } = document;
    await device.beat({ observedRevision: revision, jobs: [jobReportOf({ name: 'press' })] });
    const job = await waitFor('the job to run', async () => {
      const { json } = await control.get('/jobs/press');
      return json.counts.running === 1 ? json : undefined;
    });
    expect(job.agents).toEqual([
      {
        agent: device.id,
        name: 'press-4',
        connection: 'online',
        version: 1,
        phase: 'running',
        desiredVersion: 1,
        attempted: null,
        notPlaced: null,
        batch: null,
      },
    ]);
    expect(job).toMatchObject({
      datasets: ['loud'],
      labels: { team: 'maintenance' },
      source: text,
    });
    const again = await control.post('/jobs', `${text}\n# only a comment`);
    expect(again).toMatchObject({ status: 200, json: { created: false, changed: false } });
  });

  it('that fail are told apart from the version that still runs', async () => {
    await control.post('/jobs', jobText('press', 'site=lyon', 'loud', 2));
    const attempted = { version: 2, phase: 'refused', reason: 'no such host', at: 5 } as const;
    await device.beat({ jobs: [jobReportOf({ name: 'press', version: 1, attempted })] });
    const item = await waitFor('the refusal', async () => {
      const { json } = await control.get('/jobs');
      return json.items[0].agents.failed === 1 ? json.items[0] : undefined;
    });
    expect(item).toMatchObject({ version: 2, agents: { desired: 1, running: 0, failed: 1 } });
    const agent = await control.get(`/agents/${device.id}`);
    expect(agent.json.jobs[0]).toMatchObject({ version: 1, desiredVersion: 2, attempted });
  });

  it('go back to an earlier version under its old number', async () => {
    const back = await control.post('/jobs', jobText('press', 'site=lyon'));
    expect(back).toMatchObject({ status: 200, json: { version: 1, generation: 3, changed: true } });
    const versions = await control.get('/jobs/press/versions');
    expect(versions.json.items).toMatchObject([
      { version: 2, current: false },
      { version: 1, current: true },
    ]);
    const one = await control.get('/jobs/press/versions/2');
    expect(one.json.source).toContain('payload.rms > 2');
    expect((await control.get('/jobs/press/versions/9')).status).toBe(404);
  });

  it('with mistakes are refused with every issue and its place', async () => {
    const wrong = jobText('wrong', 'site=lyon').replace('steps:', 'stepz:');
    const answer = await control.post('/jobs', wrong);
    expect(answer.status).toBe(422);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.json.code).toBe('definition_invalid');
    expect(answer.json.issues.length).toBeGreaterThan(0);
    expect(answer.json.issues.some((issue: { line?: number }) => issue.line === 8)).toBe(true);
    const validated = await control.post('/jobs/validate', wrong);
    expect(validated).toMatchObject({ status: 200, json: { valid: false, name: null } });
    const fine = await control.post('/jobs/validate', jobText('fine', ''));
    expect(fine.json).toMatchObject({ valid: true, name: 'fine', issues: [] });
  });

  it('that are deleted leave the devices and keep their history', async () => {
    expect((await control.request('DELETE', '/api/v1/jobs/press')).status).toBe(204);
    expect((await device.desired()).jobs).toEqual([]);
    expect((await control.get('/jobs/press')).status).toBe(404);
    expect((await control.get('/jobs/press/versions')).json.items).toHaveLength(2);
    expect((await control.request('DELETE', '/api/v1/jobs/press')).status).toBe(404);
  });
});

describe('results', () => {
  it('come in insertion order behind a cursor', async () => {
    expect((await control.get('/datasets/rms/results')).json).toEqual({ items: [], next: '0' });
    const windows = [1, 2, 3].map((n) => ({ windowStart: n * 10, windowEnd: n * 10 + 10 }));
    expect(await device.send(windows)).toBe(3);
    const first = await control.get('/datasets/rms/results?limit=2');
    expect(first.json.items.map((item: { seq: number }) => item.seq)).toEqual([1, 2]);
    expect(first.json.items[0]).toMatchObject({
      agent: device.id,
      epoch: 'e1',
      lane: 'results',
      job: 'press',
      version: 1,
      key: 'p1',
      windowStart: 10,
      windowEnd: 20,
      revision: 1,
      value: { n: 1 },
    });
    const second = await control.get(`/datasets/rms/results?limit=2&after=${first.json.next}`);
    expect(second.json.items).toHaveLength(1);
    const empty = await control.get(`/datasets/rms/results?after=${second.json.next}`);
    expect(empty.json).toEqual({ items: [], next: second.json.next });
    await device.send([{ windowStart: 10, windowEnd: 20, revision: 2, value: { n: 9 } }]);
    const more = await control.get(`/datasets/rms/results?after=${empty.json.next}`);
    expect(more.json.items).toHaveLength(1);
    const latest = await control.get('/datasets/rms/results?latest=true&agent=press-4');
    expect(latest.json.items.map((item: { seq: number }) => item.seq)).toEqual([2, 3, 4]);
    const datasets = await control.get('/datasets');
    expect(datasets.json.items).toMatchObject([{ dataset: 'rms', job: 'press', rows: 4 }]);
  });

  it('refuse what is no cursor, no time or no limit', async () => {
    for (const query of ['after=abc', 'after=-1', 'limit=0', 'limit=1001', 'since=yesterday']) {
      const answer = await control.get(`/datasets/rms/results?${query}`);
      expect(answer.status, query).toBe(400);
      expect(answer.json.detail, query).not.toBe('');
    }
  });

  it('of kind alert are found under alert rows', async () => {
    await device.send([{ kind: 'alert', dataset: 'hot', value: { severity: 'warning' } }]);
    const alerts = await control.get('/alert-rows');
    expect(alerts.json.items).toMatchObject([{ dataset: 'hot', agent: device.id }]);
  });
});
