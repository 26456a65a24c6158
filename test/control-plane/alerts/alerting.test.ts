/** Alerts of a whole control plane: from what devices say to what receivers are sent. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, jobReportOf } from '../../support/device.ts';
import { type HttpServer, httpServer } from '../../support/http-server.ts';
import { waitFor } from '../../support/wait-for.ts';

let control: TestControlPlane;
let device: Device;

beforeAll(async () => {
  control = await TestControlPlane.start(undefined, { offlineAlertAfterMs: 200 });
  device = await Device.join(control, { name: 'press-1', labels: { site: 'lyon' } });
});

afterAll(async () => {
  await device.close();
  await control.close();
});

const CONDITION = {
  type: 'resources/disk',
  axis: 'resources',
  severity: 'warning',
  reason: 'DiskNearlyFull',
  message: 'the file system is 97 % full',
  since: 1,
} as const;

interface Shown {
  readonly id: string;
  readonly state: string;
  readonly title: string;
}

async function alerts(query: string): Promise<readonly Shown[]> {
  return (await control.get(`/alerts?${query}`)).json.items;
}

/** The first of these in this state. */
async function alertIn(state: string, query: string): Promise<Shown> {
  return await waitFor(`an alert that is ${state}`, async () =>
    (await alerts(query)).find((alert) => alert.state === state),
  );
}

async function webhook(name: string, more: object = {}, server?: HttpServer): Promise<HttpServer> {
  const hook = server ?? (await httpServer(() => ({})));
  const answer = await control.request('PUT', `/api/v1/receivers/${name}`, {
    body: {
      kind: 'webhook',
      settings: { url: hook.url, groupWait: '0s', groupInterval: '0s' },
      ...more,
    },
  });
  expect(answer.status, answer.text).toBe(200);
  return hook;
}

const row = (status: string, key = 'p1') => ({
  kind: 'alert' as const,
  job: 'press',
  step: 'hot',
  dataset: 'hot',
  key,
  time: Date.now(),
  value: { status, severity: 'critical', p95: 0.9123456789 },
});

describe('a row of an alert step', () => {
  it('is told to a webhook, signed, and told again when it resolves', async () => {
    const secret = 'only-we-know';
    const hook = await webhook('hook', { secrets: { secret }, selector: 'job=press' });
    await device.send([row('firing')]);
    const fired = await waitFor('the webhook', () => hook.asked[0]);
    const body = JSON.parse(fired.body);
    expect(body).toMatchObject({ version: 1, receiver: 'hook', status: 'firing' });
    expect(body.alerts).toMatchObject([
      {
        title: 'press: hot for p1',
        message: 'On press-1: p95 0.912346',
        severity: 'error',
        labels: { job: 'press', site: 'lyon', agent: 'press-1', key: 'p1' },
      },
    ]);
    const mac = createHmac('sha256', secret).update(fired.body).digest('hex');
    expect(fired.headers['x-runnel-signature']).toBe(`sha256=${mac}`);
    expect(fired.headers['x-runnel-notification']).toBe(body.id);
    await device.send([row('resolved')]);
    const resolved = await waitFor('the end', () => hook.asked[1]);
    expect(JSON.parse(resolved.body)).toMatchObject({
      status: 'resolved',
      alerts: [{ id: body.alerts[0].id, state: 'resolved' }],
    });
    const log = await waitFor('the log', async () => {
      const { json } = await control.get('/notifications?receiver=hook');
      return json.items.length === 2 ? json.items : undefined;
    });
    expect(log).toMatchObject([{ outcome: 'sent' }, { outcome: 'sent', attempts: 1 }]);
    const shown = await control.get('/receivers/hook');
    expect(shown.text).not.toContain(secret);
    expect(shown.json).toMatchObject({ secrets: { secret: 'stored' }, lastError: null });
  });

  it('that comes again is the same alert, and a block sent twice counts once', async () => {
    await device.send([row('firing', 'p2')]);
    await device.resend();
    const { id } = await alertIn('firing', 'job=press');
    const other = { ...row('firing', 'p2'), value: { status: 'firing', severity: 'critical' } };
    await device.send([other]);
    await waitFor('the second', async () => (await control.get(`/alerts/${id}`)).json.count === 2);
    expect(await alerts('job=press&state=open')).toHaveLength(1);
  });

  it('is acknowledged, silenced and resolved by people, and the audit says who', async () => {
    const { id } = await alertIn('firing', 'job=press');
    const viewer = await control.token('viewer');
    const refused = await control.post(`/alerts/${id}/acknowledge`, {}, { token: viewer });
    expect(refused.status).toBe(403);
    const acknowledged = await control.post(`/alerts/${id}/acknowledge`);
    expect(acknowledged.json).toMatchObject({ state: 'acknowledged' });
    expect(acknowledged.json.acknowledgedBy).toMatch(/^token:/);
    expect((await control.post(`/alerts/${id}/unacknowledge`)).json.state).toBe('firing');
    const until = Date.now() + 60_000;
    const made = await control.post('/silences', { selector: 'job=press', until });
    expect(made.status, made.text).toBe(201);
    await alertIn('silenced', 'job=press');
    const ended = await control.request('DELETE', `/api/v1/silences/${made.json.id}`);
    expect(ended.status).toBe(204);
    await alertIn('firing', 'job=press');
    expect((await control.post(`/alerts/${id}/resolve`)).json.state).toBe('resolved');
    expect(await control.post(`/alerts/${id}/acknowledge`)).toMatchObject({
      status: 409,
      json: { code: 'alert_conflict' },
    });
    const audit = (await control.get('/audit')).json.items as { action: string }[];
    const actions = audit.map(({ action }) => action);
    for (const action of ['alert.acknowledge', 'silence.create', 'silence.end', 'alert.resolve']) {
      expect(actions).toContain(action);
    }
  });
});

describe('a device', () => {
  it('has an alert for a condition while it reports it', async () => {
    await device.beat({ conditions: [CONDITION], sentAt: Date.now() });
    expect(await alertIn('firing', 'source=condition')).toMatchObject({
      title: 'press-1: resources/disk DiskNearlyFull',
    });
    await device.beat({ sentAt: Date.now() });
    await alertIn('resolved', 'source=condition');
  });

  it('whose clock is wrong has one that says by how much', async () => {
    const ahead = (): Promise<void> => device.beat({ sentAt: Date.now() + 120_000 });
    for (let beat = 0; beat < 6; beat += 1) await ahead();
    const alert = await alertIn('firing', 'source=condition');
    expect(alert).toMatchObject({ title: 'press-1: clock ClockSkew' });
    for (let beat = 0; beat < 6; beat += 1) await device.beat({ sentAt: Date.now() });
    await alertIn('resolved', `source=condition&limit=1`);
  });

  it('that stays offline has one, until it is heard', async () => {
    const other = await Device.join(control, { name: 'press-2', labels: { site: 'lyon' } });
    await other.beat({ intervalMs: 500, sentAt: Date.now() });
    const alert = await alertIn('firing', 'source=device');
    expect(alert.title).toBe('press-2 is offline');
    await other.beat({ intervalMs: 500, sentAt: Date.now() });
    await alertIn('resolved', 'source=device');
    await other.close();
  });

  it('that was revoked has none left', async () => {
    const other = await Device.join(control, { name: 'press-3' });
    await other.beat({ conditions: [CONDITION], jobs: [jobReportOf({})], sentAt: Date.now() });
    await alertIn('firing', 'agent=press-3');
    await control.post(`/agents/${other.id}/revoke`);
    await alertIn('resolved', `agent=${other.id}`);
    await other.close();
  });
});

describe('a receiver', () => {
  it('that is down is tried again under the same id, and the log says how often', async () => {
    const hook = await httpServer((_asked, count) => (count === 1 ? { status: 503 } : {}));
    await webhook('flaky', { selector: 'key=flaky' }, hook);
    await device.send([row('firing', 'flaky')]);
    await waitFor('a second attempt', () => hook.asked[1], 15_000);
    const ids = hook.asked.map(({ headers }) => headers['x-runnel-notification']);
    expect(ids[0]).toBe(ids[1]);
    const entry = await waitFor('the log', async () => {
      const { json } = await control.get('/notifications?receiver=flaky');
      return json.items[0].outcome === 'sent' ? json.items[0] : undefined;
    });
    expect(entry).toMatchObject({ attempts: 2, error: null });
  });

  it('is told the end of an alert that eased below its severity before it was over', async () => {
    const hook = await webhook('errors', { selector: 'key=easing', severity: 'error' });
    const rated = (severity: string) => ({
      ...row('firing', 'easing'),
      value: { status: 'firing', severity },
    });
    await device.send([rated('critical')]);
    const fired = await waitFor('the error', () => hook.asked[0]);
    const [{ id }] = JSON.parse(fired.body).alerts;
    await device.send([rated('warning')]);
    await waitFor('it to ease', async () => {
      const { json } = await control.get(`/alerts/${id}`);
      return json.severity === 'warning';
    });
    // Looks go on meanwhile: another alert of the group is told.
    const other = { ...row('firing', 'easing'), step: 'other', dataset: 'other' };
    await device.send([other]);
    await waitFor('the other', () => hook.asked[1]);
    await device.send([row('resolved', 'easing')]);
    const over = await waitFor('the end', () => hook.asked[2]);
    expect(JSON.parse(over.body).alerts).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ id, state: 'resolved' })]),
    );
  });

  it('is not followed to another host, and says so in its test', async () => {
    const away = await httpServer(() => ({}));
    const hook = await httpServer(() => ({ status: 302, headers: { location: away.url } }));
    await webhook('moved', { selector: 'key=none' }, hook);
    const tested = await control.post('/receivers/moved/test');
    expect(tested.json).toMatchObject({ outcome: 'failed' });
    expect(tested.json.error).toContain('redirects are not followed');
    expect(away.asked).toEqual([]);
  });

  it('is refused where its settings, secrets or name are wrong, and says what is', async () => {
    const put = (body: object, name = 'x') =>
      control.request('PUT', `/api/v1/receivers/${name}`, { body });
    const wrong: readonly (readonly [object, string])[] = [
      [{ kind: 'webhook' }, 'settings.url'],
      [{ kind: 'webhook', settings: { url: 'ftp://x' } }, 'http or https'],
      [{ kind: 'webhook', settings: { url: 'http://x', colour: 1 } }, 'colour'],
      [{ kind: 'slack', secrets: { url: { file: '../keys/root' } } }, 'secrets'],
      [{ kind: 'slack', secrets: { url: { env: 'HOME' } } }, 'secrets'],
      [{ kind: 'email', settings: { host: 'h' } }, 'from'],
      [{ kind: 'webhook', settings: { url: 'http://x' }, selector: '(' }, 'parenthesis'],
    ];
    for (const [body, text] of wrong) {
      const answer = await put(body);
      expect(answer.status, answer.text).toBe(400);
      expect(answer.json.detail).toContain(text);
    }
    expect((await put({ kind: 'webhook', settings: { url: 'http://x' } }, 'A!')).status).toBe(400);
  });

  it('takes credentials as secrets only, and shows its headers to admins', async () => {
    const put = (settings: object) =>
      control.request('PUT', '/api/v1/receivers/shown', { body: { kind: 'webhook', settings } });
    const url = 'http://127.0.0.1:9';
    const names = ['Authorization', 'proxy-authorization', 'Cookie', 'X-API-Key'];
    const wrong = [
      ...names.map(
        (name) => [{ url, headers: { [name]: 'x' } }, `settings.headers.${name}`] as const,
      ),
      [{ url: 'http://me:word@127.0.0.1:9' }, 'settings.url'] as const,
    ];
    for (const [settings, path] of wrong) {
      const answer = await put(settings);
      expect(answer, path).toMatchObject({ status: 400, json: { issues: [{ path }] } });
      expect(answer.json.detail).toContain('secrets.authorization');
    }
    const headers = { 'X-Team': 'maintenance' };
    expect((await put({ url, headers })).status).toBe(200);
    expect((await control.get('/receivers/shown')).json.settings.headers).toEqual(headers);
    const token = await control.token('operator');
    const { json } = await control.get('/receivers/shown', { token });
    expect(json.settings).toEqual({ url, headers: { 'X-Team': '***' } });
    expect((await control.get('/receivers', { token })).text).not.toContain('maintenance');
  });

  it('that is new takes the place of none, and secrets do not go to another host', async () => {
    const put = (host: string, more: object = {}, head: Record<string, string> = {}) => {
      const body = { kind: 'webhook', settings: { url: `http://${host}/` }, ...more };
      return control.request('PUT', '/api/v1/receivers/one', { body, headers: head });
    };
    const secrets = { authorization: 'Bearer hush', secret: 'key' };
    const isNew = { 'if-none-match': '*' };
    expect((await put('127.0.0.1:9', { secrets }, isNew)).status).toBe(200);
    expect(await put('127.0.0.1:10', {}, isNew)).toMatchObject({
      status: 409,
      json: { code: 'receiver_exists', issues: [{ path: 'name' }] },
    });
    const kept = { authorization: 'stored', secret: 'stored' };
    expect((await put('127.0.0.1:9')).json.secrets).toEqual(kept);
    const moved = await put('127.0.0.1:10', { secrets: { secret: 'other' } });
    expect(moved.json.secrets).toEqual({ secret: 'stored' });
  });
});
