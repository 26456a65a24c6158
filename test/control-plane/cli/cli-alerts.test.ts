/** `runnel alerts` and `runnel receivers`: what they print, their JSON, and how they fail. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { httpServer } from '../../support/http-server.ts';
import { waitFor } from '../../support/wait-for.ts';
import { runnel, type Ran } from './cli-terminal.ts';

let control: TestControlPlane;
let device: Device;
let viewer: string;

beforeAll(async () => {
  control = await TestControlPlane.start();
  device = await Device.join(control, { name: 'press-1', labels: { site: 'lyon' } });
  viewer = await control.token('viewer');
});
afterAll(async () => {
  await device.close();
  await control.close();
});

const as = (token: string, ...args: string[]): Promise<Ran> =>
  runnel(args, { columns: 80, env: { RUNNEL_URL: control.url, RUNNEL_TOKEN: token } });
const admin = (...args: string[]): Promise<Ran> => as(control.adminToken, ...args);
async function json(...args: string[]) {
  const { code, out, err } = await admin(...args, '-o', 'json');
  expect(code, err).toBe(0);
  return JSON.parse(out);
}

async function fire(key: string): Promise<string> {
  const value = { status: 'firing', severity: 'critical', p95: 0.9 };
  const of = { kind: 'alert', job: 'press', step: 'hot', dataset: 'hot' } as const;
  await device.send([{ ...of, key, time: Date.now(), value }]);
  return await waitFor(`the alert of ${key}`, async () => {
    const { items } = await json('alerts', '--state', 'all');
    return items.find((item: { labels: { key: string } }) => item.labels.key === key)?.id;
  });
}

describe('runnel alerts', () => {
  it('says that there are none, then lists them within the terminal', async () => {
    expect(await admin('alerts')).toMatchObject({ code: 0, out: 'no alerts\n' });
    expect(await json('alerts')).toEqual({ items: [] });
    await fire('p1');
    const { out } = await admin('alerts');
    expect(out).toMatch(/^ID +SEVERITY +STATE +SINCE +TITLE +MESSAGE\n/);
    expect(out).toMatch(/ error +firing +\S+( ago)? +press: hot for p1 +On press-1/);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    const { out: bare } = await as(viewer, 'alerts', '--severity', 'info');
    expect(bare).toBe('no alerts\n');
  });

  it('as JSON are whole, for programs', async () => {
    const { items } = await json('alerts', '--job', 'press', '--source', 'job');
    expect(items).toEqual([
      {
        id: expect.any(String),
        source: 'job',
        severity: 'error',
        state: 'firing',
        title: 'press: hot for p1',
        message: expect.stringContaining('p95 0.9'),
        labels: expect.objectContaining({ site: 'lyon', agent: 'press-1', key: 'p1' }),
        agent: device.id,
        agentName: 'press-1',
        job: 'press',
        startedAt: expect.any(Number),
        lastAt: expect.any(Number),
        endedAt: null,
        count: 1,
        acknowledgedBy: null,
        silencedBy: null,
        link: expect.stringMatching(/^\/jobs\/press/),
      },
    ]);
  });

  it('are acknowledged, taken back and resolved; only by who may', async () => {
    const id = await fire('p2');
    const refused = await as(viewer, 'alerts', 'ack', id);
    expect(refused.code).toBe(4);
    expect(refused.err).toMatch(/^error: this needs the role operator; .+\nhint: .+\n$/);
    const acked = await admin('alerts', 'ack', id);
    expect(acked).toMatchObject({ code: 0, err: '' });
    expect(acked.out).toMatch(/^press: hot for p2: acknowledged; .+\n$/);
    expect(await json('alerts', 'unack', id)).toMatchObject({ id, state: 'firing' });
    expect(await json('alerts', 'resolve', id)).toMatchObject({ id, state: 'resolved' });
    const again = await admin('alerts', 'ack', id);
    expect(again.code).toBe(1);
    expect(again.err).toMatch(/^error: .*resolved/);
    expect((await json('alerts', '--state', 'resolved')).items).toMatchObject([{ id }]);
  });

  it('are silenced for a time, and silences are listed and ended', async () => {
    const id = await fire('p3');
    const made = await json(
      ...['alerts', 'silence', 'site=lyon,key=p3', '--for', '2h', '--comment', 'power works'],
    );
    expect(made).toMatchObject({ selector: 'site=lyon,key=p3', comment: 'power works' });
    expect(made.until - made.from).toBeGreaterThan(7_100_000);
    await waitFor('the alert to be silenced', async () => {
      const { items } = await json('alerts', '--state', 'silenced');
      return items.some((item: { id: string; silencedBy: string }) => {
        return item.id === id && item.silencedBy === made.id;
      });
    });
    const { out } = await admin('alerts', 'silences');
    expect(out).toMatch(/^ID +BEGINS +ENDS +SELECTOR +BY +COMMENT\n/);
    expect(out).toContain('site=lyon,key=p3');
    expect((await json('alerts', 'silences')).items).toMatchObject([{ id: made.id }]);
    expect(await json('alerts', 'unsilence', made.id)).toEqual({ id: made.id, ended: true });
    expect((await admin('alerts', 'silences')).out).toBe('no silences\n');
    expect((await admin('alerts', 'unsilence', made.id)).code).toBe(1);
  });

  it('refuse bad input in one line that says what, and how to mend it', async () => {
    const wrong: readonly (readonly [number, RegExp, ...string[]])[] = [
      [2, /--state/, 'alerts', '--state', 'burning'],
      [2, /--source/, 'alerts', '--source', 'moon'],
      [2, /whole number/i, 'alerts', '--limit', '0'],
      [2, /no duration\nhint: for example 2h/, 'alerts', 'silence', 'a=b', '--for', 'long'],
      [2, /--for/, 'alerts', 'silence', 'a=b'],
      [1, /selector|parenthesis/, 'alerts', 'silence', 'a in (', '--for', '1h'],
      [1, /everything/, 'alerts', 'silence', '', '--for', '1h'],
      [1, /at most/, 'alerts', 'silence', 'a=b', '--for', '400d'],
      [1, /no such|not found|no alert/i, 'alerts', 'ack', 'nothing'],
      [2, /--kind/, 'receivers', 'set', 'x'],
      [2, /name=value/, 'receivers', 'set', 'x', '--kind', 'webhook', '--setting', 'url'],
      [2, /url/, 'receivers', 'set', 'x', '--kind', 'webhook', '--setting', 'url=ftp://x'],
      [1, /receiver/, 'receivers', 'delete', 'nobody'],
      [1, /receiver/, 'receivers', 'test', 'nobody'],
    ];
    for (const [code, text, ...args] of wrong) {
      const ran = await admin(...args);
      expect(ran.err, args.join(' ')).toMatch(text);
      expect([ran.code, ran.out], args.join(' ')).toEqual([code, '']);
    }
    const nowhere = await runnel(['alerts'], {
      env: { RUNNEL_URL: 'http://127.0.0.1:1', RUNNEL_TOKEN: 'x' },
    });
    expect(nowhere.code).toBe(3);
  });
});

describe('runnel receivers', () => {
  it('are set, tried, listed without secrets and deleted, and the log stays', async () => {
    expect((await admin('receivers', 'list')).out).toMatch(/^no receivers yet/);
    const hook = await httpServer((_asked, count) => (count === 1 ? {} : { status: 400 }));
    const set = await json(
      ...['receivers', 'set', 'hook', '--kind', 'webhook', '--severity', 'error', '--no-resolved'],
      ...['-l', 'key=none', '--setting', `url=${hook.url}`, '--secret', 'secret=only-we-know'],
    );
    expect(set).toEqual({
      name: 'hook',
      kind: 'webhook',
      selector: 'key=none',
      severity: 'error',
      sendResolved: false,
      secrets: { secret: 'stored' },
      settings: { url: hook.url },
      lastSentAt: null,
      lastError: null,
    });
    expect(await json('receivers', 'test', 'hook')).toMatchObject({
      ...{ receiver: 'hook', alerts: [], outcome: 'sent', attempts: 1, error: null },
    });
    const failed = await admin('receivers', 'test', 'hook');
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/hook did not take it: .*answered 400/);
    const { out } = await admin('receivers', 'list');
    expect(out).toMatch(/^NAME +KIND +FROM +SELECTOR +SENT +LAST ERROR\nhook +webhook +error /);
    expect(out).not.toContain('only-we-know');
    expect((await json('receivers', 'list')).items).toMatchObject([{ name: 'hook' }]);
    expect((await as(viewer, 'receivers', 'delete', 'hook')).code).toBe(4);
    expect(await json('receivers', 'delete', 'hook')).toEqual({ name: 'hook', deleted: true });
    const log = await admin('alerts', 'log', '--receiver', 'hook', '--limit', '1');
    expect(log.out).toMatch(/^TIME +RECEIVER +OUTCOME +TRIES +ALERTS +ERROR\n.+ hook +failed +1 /);
    expect((await json('alerts', 'log')).items).toMatchObject([
      { outcome: 'failed' },
      { outcome: 'sent' },
    ]);
  });
});
