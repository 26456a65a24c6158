/** Each kind of receiver against a real server of its protocol, and one that fails. */
import type { Readable } from 'node:stream';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { NotificationItem } from '@runnel/control-plane/http/alert-messages.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { freePort } from '../../support/free-port.ts';
import { httpServer } from '../../support/http-server.ts';
import { waitFor } from '../../support/wait-for.ts';
import { runnel } from '../cli/cli-terminal.ts';

let control: TestControlPlane;
let device: Device;

/** By how much the control plane's clock on the wall is ahead. */
let aheadMs = 0;

beforeAll(async () => {
  const clock = { ...systemClock, now: () => epochMs(systemClock.now() + aheadMs) };
  control = await TestControlPlane.start(undefined, { clock });
  device = await Device.join(control, { name: 'press <1>', labels: { site: 'lyon', '9x': 'y' } });
});
afterAll(async () => {
  await device.close();
  await control.close();
});

/** An alert step of a job says something of `key`. */
async function say(
  key: string,
  status: 'firing' | 'resolved' = 'firing',
  severity = 'critical',
): Promise<void> {
  const value = { status, severity, text: `<!channel> & ${key}` };
  const of = { kind: 'alert', job: 'press', step: 'hot', dataset: 'hot' } as const;
  await device.send([{ ...of, key, time: Date.now(), value }]);
}

/** A receiver of the alerts of one key. */
async function receiver(name: string, kind: string, settings: object, more = {}): Promise<void> {
  const times = { groupWait: '0s', groupInterval: '0s' };
  const body = { kind, selector: `key=${name}`, settings: { ...times, ...settings }, ...more };
  const answer = await control.request('PUT', `/api/v1/receivers/${name}`, { body });
  expect(answer.status, answer.text).toBe(200);
}

async function logOf(
  name: string,
  outcome: NotificationItem['outcome'],
  attempts = 1,
): Promise<NotificationItem> {
  return await waitFor(
    `${name} to be ${outcome}`,
    async () => {
      const items: NotificationItem[] = (await control.get(`/notifications?receiver=${name}`)).json
        .items;
      return items.find((item) => item.outcome === outcome && item.attempts >= attempts);
    },
    30_000,
  );
}

const cli = (...args: string[]) =>
  runnel(args, { env: { RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken } });

async function passesItsTest(name: string): Promise<void> {
  const { code, out, err } = await cli('receivers', 'test', name);
  expect(code, err).toBe(0);
  expect(out).toMatch(/: took the test \(\w+\)\n$/);
}

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly text: string;
}

/** Takes mail of `runnel`, after it has turned the first `refused` messages down for now. */
async function mailServer(refused = 0): Promise<{ port: number; mails: Mail[]; tries: number }> {
  const got = { port: await freePort(), mails: [] as Mail[], tries: 0 };
  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    hideSTARTTLS: true,
    onAuth({ username, password }, _session, done) {
      if (password === 'let me in') done(null, { user: username });
      else done(new Error('wrong password'));
    },
    onData(stream: Readable, session, done) {
      let text = '';
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
      stream.on('end', () => {
        got.tries += 1;
        if (got.tries <= refused) {
          done(Object.assign(new Error('try again later'), { responseCode: 451 }));
          return;
        }
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? '' : mailFrom.address;
        const to = rcptTo.map(({ address }) => address);
        got.mails.push({ from, to, user: session.user, text });
        done();
      });
    },
  });
  server.listen(got.port, '127.0.0.1');
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  return got;
}

const mailSettings = (port: number) => ({
  ...{ host: '127.0.0.1', port, security: 'none', username: 'runnel' },
  ...{ from: 'runnel@example.org', to: ['ops@example.org', 'boss@example.org'] },
});
const password = { secrets: { password: 'let me in' } };

describe('a receiver of the kind', () => {
  it('email gets a message by SMTP, with the id of the notification as its own', async () => {
    const server = await mailServer();
    await receiver('mail', 'email', mailSettings(server.port), password);
    await passesItsTest('mail');
    await say('mail');
    const mail = await waitFor('the mail', () => server.mails[1]);
    expect(mail).toMatchObject({
      ...{ from: 'runnel@example.org', user: 'runnel' },
      to: ['ops@example.org', 'boss@example.org'],
    });
    const { id } = await logOf('mail', 'sent');
    expect(mail.text).toContain('Subject: ERROR: press: hot for mail\r\n');
    const entries = (await control.get('/notifications?receiver=mail')).json.items;
    expect(entries.map((entry: NotificationItem) => entry.id)).toContain(id);
    expect(mail.text).toMatch(/^Message-ID: <\w+@runnel>\r$/im);
    expect(mail.text).toMatch(/^Auto-Submitted: auto-generated\r$/im);
    await say('mail', 'resolved');
    const over = await waitFor('the end', () => server.mails[2]);
    expect(over.text).toContain('Subject: Resolved: press: hot for mail\r\n');
  });

  it('email that turns credentials down is given up at once', async () => {
    const server = await mailServer();
    await receiver('wrong', 'email', mailSettings(server.port), { secrets: { password: 'no' } });
    const { code, err } = await cli('receivers', 'test', 'wrong');
    expect(code).toBe(1);
    expect(err).toContain('wrong password');
    await say('wrong');
    const item = await waitFor('the log', async () => {
      const { items } = (await control.get('/notifications?receiver=wrong')).json;
      return (items as NotificationItem[]).find(({ alerts }) => alerts.length === 1);
    });
    expect(item).toMatchObject({ outcome: 'failed', attempts: 1 });
    expect(server.mails).toEqual([]);
  });

  it('slack gets text and blocks in which nobody can be mentioned', async () => {
    const server = await httpServer(() => ({ body: 'ok' }));
    await receiver('chat', 'slack', { channel: '#ops' }, { secrets: { url: `${server.url}/T/B` } });
    await passesItsTest('chat');
    await say('chat');
    const asked = await waitFor('the post', () => server.asked[1]);
    expect(asked).toMatchObject({ method: 'POST', url: { pathname: '/T/B' } });
    expect(asked.headers['content-type']).toBe('application/json');
    const body = JSON.parse(asked.body);
    expect(Object.keys(body).toSorted()).toEqual(['blocks', 'channel', 'text']);
    expect(body.channel).toBe('#ops');
    expect(body.text).toMatch(/^ERROR: press: hot for chat\n/);
    expect(asked.body).not.toContain('<!channel>');
    expect(body.text).toContain('&lt;!channel&gt; &amp; chat');
    for (const block of body.blocks) {
      expect(block).toEqual({
        type: 'section',
        text: { type: 'mrkdwn', text: expect.any(String) },
      });
      expect(block.text.text.length).toBeLessThanOrEqual(3000);
    }
  });

  it('alertmanager gets its API v2, with valid names and an end', async () => {
    const server = await httpServer(() => ({}));
    const secrets = { secrets: { authorization: 'Bearer x' } };
    await receiver('prom', 'alertmanager', { url: `${server.url}/am/` }, secrets);
    await passesItsTest('prom');
    await say('prom');
    const entryOf = async (at: number) => {
      const asked = await waitFor('the post', () => server.asked[at], 20_000);
      expect(asked).toMatchObject({ method: 'POST', url: { pathname: '/am/api/v2/alerts' } });
      expect(asked.headers.authorization).toBe('Bearer x');
      const entries = JSON.parse(asked.body);
      expect(entries).toHaveLength(1);
      return entries[0];
    };
    const entry = await entryOf(1);
    expect(Object.keys(entry).toSorted()).toEqual(['annotations', 'endsAt', 'labels', 'startsAt']);
    expect(entry.labels).toMatchObject({
      ...{ alertname: 'runnel_job', job: 'press', site: 'lyon', _9x: 'y', severity: 'error' },
      runnel_alert: expect.any(String),
    });
    for (const [name, value] of Object.entries(entry.labels)) {
      expect(name).toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
      expect(value).toEqual(expect.any(String));
    }
    expect(entry.annotations).toMatchObject({ summary: 'press: hot for prom' });
    expect(Date.parse(entry.startsAt)).toBeLessThanOrEqual(Date.now());
    expect(Date.parse(entry.endsAt)).toBeGreaterThan(Date.now() + 60_000);
    await say('prom', 'resolved');
    const over = await entryOf(2);
    expect(over.labels).toEqual(entry.labels);
    expect(Date.parse(over.endsAt)).toBeLessThanOrEqual(Date.now());
  });
});

it('alertmanager keeps one alert of each, whoever took it on and however bad it is', async () => {
  const server = await httpServer(() => ({}));
  await receiver('am', 'alertmanager', { url: server.url, groupInterval: '0s', repeat: '1m' });
  /** By severity: does it fire there? */
  const postOf = async (at: number): Promise<Record<string, boolean>> => {
    const { body } = await waitFor('the post', () => server.asked[at], 20_000);
    const entries = JSON.parse(body) as { labels: { severity: string }; endsAt: string }[];
    const now = systemClock.now() + aheadMs;
    return Object.fromEntries(
      entries.map(({ labels, endsAt }) => [labels.severity, Date.parse(endsAt) > now]),
    );
  };
  await say('am', 'firing', 'warning');
  expect(await postOf(0)).toEqual({ warning: true });
  await say('am');
  expect(await postOf(1)).toEqual({ error: true, warning: false });
  const { items } = (await control.get('/alerts?state=firing')).json;
  const open = (items as { id: string; title: string }[]).find(({ title }) => title.endsWith('am'));
  await control.post(`/alerts/${open?.id}/acknowledge`);
  aheadMs += 61_000;
  expect(await postOf(2)).toEqual({ error: true });
  await say('am', 'firing', 'warning');
  aheadMs += 61_000;
  expect(await postOf(3)).toEqual({ warning: true, error: false });
  await say('am', 'resolved', 'warning');
  expect(await postOf(4)).toEqual({ warning: false });
  expect(server.asked).toHaveLength(5);
});

describe('a receiver that fails', () => {
  it('is tried again later, whatever failed, and the log says why and how often', async () => {
    const busy = await httpServer((_asked, count) => (count === 1 ? { status: 500 } : {}));
    const slow = await httpServer((_asked, count) => (count === 1 ? { hang: true } : {}));
    const cutting = await httpServer((_asked, count) => (count === 1 ? { cut: true } : {}));
    const mail = await mailServer(1);
    const nobody = await freePort();
    await receiver('busy', 'slack', { url: busy.url });
    await receiver('slow', 'webhook', { url: slow.url });
    await receiver('cut', 'alertmanager', { url: cutting.url });
    await receiver('later', 'email', mailSettings(mail.port), password);
    await receiver('refused', 'webhook', { url: `http://127.0.0.1:${nobody}/` });
    for (const key of ['busy', 'slow', 'cut', 'later', 'refused']) await say(key);
    const why: readonly (readonly [string, RegExp])[] = [
      ['busy', /answered 500/],
      ['cut', /socket hang up/],
      ['later', /try again later/],
      ['refused', /ECONNREFUSED/],
      ['slow', /no answer within 10 s/],
    ];
    for (const [name, error] of why) {
      expect((await logOf(name, 'retrying')).error, name).toMatch(error);
    }
    for (const name of ['busy', 'cut', 'later', 'slow']) {
      expect(await logOf(name, 'sent', 2)).toMatchObject({ attempts: 2, error: null });
    }
    expect(busy.asked).toHaveLength(2);
    expect(slow.asked.map(({ headers }) => headers['x-runnel-notification'])).toEqual([
      slow.asked[1]?.headers['x-runnel-notification'],
      slow.asked[0]?.headers['x-runnel-notification'],
    ]);
    expect(mail).toMatchObject({ tries: 2, mails: [{ user: 'runnel' }] });
    expect(await logOf('refused', 'retrying', 2)).toMatchObject({
      error: expect.stringContaining('ECONNREFUSED'),
    });
    const { out } = await cli('alerts', 'log', '--receiver', 'refused');
    expect(out).toMatch(/refused +retrying +\d +1 +.*ECONNREFUSED/);
    expect((await cli('receivers', 'list')).out).toMatch(/refused +webhook .*ECONNREFUSED/);
  }, 90_000);
});
