/** The commands of `runnel` against a real control plane with its own nats-server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Insertable } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import type { ResultsTable } from '@runnel/control-plane/store/schema.ts';
import { HEALTH_AXES } from '@runnel/shared/health/device-health.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device, jobReportOf, sourceReportOf } from '../../support/device.ts';
import { enrolRequestOf, newDeviceKey } from '../../support/nats.ts';
import { waitFor } from '../../support/wait-for.ts';
import { runnel, type RanOptions } from './cli-terminal.ts';

const JOB = `# Kept with the version.
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: hot, labels: { team: ops } }
parameters: { limit: { type: number, default: 5 } }
placement: { selector: "site=lyon" }
sources: { device: { host: {} } }
steps: [{ filter: "payload.load1 > params.limit" }]
sinks: [{ results: { dataset: hot } }]
`;

let control: TestControlPlane;
let dir: string;

beforeAll(async () => {
  control = await TestControlPlane.start();
  dir = control.dataDir;
});

afterAll(async () => {
  await control.close();
});

/** As the admin, with whatever else is given. */
const admin = (args: readonly string[], options: RanOptions = {}) =>
  runnel(args, {
    ...options,
    env: { RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken, ...options.env },
  });

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const ran = await admin([...args, '-o', 'json']);
  expect(ran, ran.err).toMatchObject({ code: 0 });
  return JSON.parse(ran.out) as Record<string, unknown>;
}

/** Joins a device as its agent would, over HTTP. */
async function enrol(joinToken: string, name: string): Promise<string> {
  const request = enrolRequestOf(newDeviceKey(), joinToken, { name });
  const answer = await control.post('/enroll', request, { token: null });
  expect(answer.status, answer.text).toBe(200);
  return (answer.json as { agent: string }).agent;
}

/** Results as intake stores them. */
async function store(
  agent: string,
  from: number,
  count: number,
  more: Partial<Insertable<ResultsTable>> = {},
): Promise<void> {
  const opened = await openStore(join(dir, 'store.db'));
  for (let seq = from; seq < from + count; seq += 1) {
    await opened.db
      .insertInto('results')
      .values({
        agent,
        epoch: 'e1',
        lane: 'results',
        seq,
        kind: 'result',
        job: 'hot',
        version: 1,
        step: 'filter',
        dataset: 'hot',
        key: JSON.stringify(`k${seq}`),
        window_start: seq * 1000,
        window_end: seq * 1000 + 1000,
        time: seq * 1000 + 999,
        revision: 1,
        value: JSON.stringify({ load1: seq }),
        made_at: seq,
        received_at: systemClock.now(),
        ...more,
      })
      .execute();
  }
  await opened.close();
}

describe('the commands against a control plane', () => {
  test('an empty fleet says what to do next', async () => {
    expect((await admin(['get', 'agents'])).out).toContain('runnel token create --role agent');
    expect((await admin(['get', 'jobs'])).out).toContain('runnel apply -f');
    expect((await admin(['get', 'versions'])).out).toContain('runnel apply -f');
    expect((await admin(['get', 'datasets'])).out).toContain('no results');
  });

  test('apply makes a version, again changes nothing, other content makes the next', async () => {
    const apply = (input: string) => admin(['apply', '-f', '-'], { input });
    expect((await apply(JOB)).out).toBe('hot: version 1 created for 0 agents\n');
    expect((await apply(JOB)).out).toBe('hot: unchanged, version 1 for 0 agents\n');
    expect((await apply(JOB.replace('default: 5', 'default: 6'))).out).toContain(
      'version 2 created',
    );
    expect((await apply(JOB)).out).toContain('back to version 1');
    const { items } = await json(['get', 'versions', 'hot']);
    expect(items).toMatchObject([
      { version: 2, current: false },
      { version: 1, current: true },
    ]);
    expect((await json(['get', 'versions'])).items).toEqual(items);
    const { out } = await admin(['get', 'versions']);
    expect(out).toMatch(/^JOB +VERSION +CURRENT[^\n]*\nhot +2 [^\n]*\nhot +1 +yes /);
    const file = join(dir, 'hot.json');
    writeFileSync(file, JSON.stringify((await json(['describe', 'job', 'hot'])).document));
    expect((await admin(['apply', '-f', file])).out).toContain('unchanged, version 1');
  });

  test('a dry run stores nothing', async () => {
    const input = JOB.replace('name: hot', 'name: cold');
    const { out } = await admin(['apply', '-f', '-', '--dry-run'], { input });
    expect(out).toContain('version 1 created for 0 agents (dry run: nothing was stored)');
    expect((await admin(['get', 'versions', 'cold'])).code).not.toBe(0);
  });

  test('a device joins with the token alone that --quiet prints, and shows up', async () => {
    const made = await admin([
      ...['token', 'create', '--role', 'agent', '--labels', 'site=lyon', '--uses', '1'],
      ...['--expires', '1h', '--quiet'],
    ]);
    expect(made.out).toMatch(/^rj1\.\S+\n$/);
    const id = await enrol(made.out.trim(), 'press-7');
    const { out } = await admin(['get', 'agents']);
    expect(out).toMatch(/^NAME\s+CONNECTION\s+SEEN/);
    expect(out.replaceAll(/ +/g, ' ')).toContain(
      'press-7 never never 0.1.0 0/1 running unknown:connection site=lyon',
    );
    const { out: whole } = await admin(['describe', 'agent', 'press-7']);
    expect(whole).toMatch(/Health\n\s+AXIS\s+STATE\s+SINCE\s+CAUSE\n/);
    for (const axis of HEALTH_AXES) {
      expect(whole).toMatch(new RegExp(`^  ${axis}\\s+unknown\\s+.*never connected`, 'm'));
    }
    expect(await json(['describe', 'agent', 'press-7'])).toMatchObject({ id, name: 'press-7' });
    expect((await admin(['describe', 'agent', id])).out).toContain('Name:           press-7');
    expect((await admin(['describe', 'job', 'hot'])).out).toContain('1 desired');
    expect((await admin(['get', 'agents', '-l', 'site=turin'])).out).toContain('no agents');
  });

  test('a device is found by any name that it was given', async () => {
    const made = await json(['token', 'create', '--role', 'agent']);
    for (const name of ['line 7/höhe %20', 'a?b#c&d', '0123456789abcdefghjk']) {
      const id = await enrol(String(made.token), name);
      expect(await json(['describe', 'agent', name])).toMatchObject({ id, name });
    }
  });

  test('a token is listed without its secret, and revoked', async () => {
    const made = await json(['token', 'create', '--role', 'viewer', '--name', 'wall']);
    const { out } = await admin(['token', 'list']);
    expect(out).toMatch(new RegExp(`${String(made.id)}\\s+viewer\\s+wall\\s+-\\s+valid`));
    expect(out).not.toContain(String(made.token));
    const viewer = { env: { RUNNEL_TOKEN: String(made.token) } };
    expect(await admin(['get', 'jobs'], viewer)).toMatchObject({ code: 0 });
    expect(await admin(['delete', 'job', 'hot'], viewer)).toMatchObject({ code: 4 });
    expect((await admin(['token', 'revoke', String(made.id)])).out).toContain('revoked');
    expect(await admin(['get', 'jobs'], viewer)).toMatchObject({ code: 4 });
  });

  test('no token and a wrong one end with 4 and say where one is', async () => {
    for (const value of ['', 'wrong']) {
      const ran = await admin(['get', 'jobs'], { env: { RUNNEL_TOKEN: value } });
      expect(ran.code).toBe(4);
      expect(ran.err).toMatch(/hint: .*(RUNNEL_TOKEN|token)/);
    }
  });

  test('what is not there ends with 1', async () => {
    for (const args of [
      ['describe', 'job', 'nope'],
      ['describe', 'agent', 'nope'],
      ['delete', 'job', 'nope'],
      ['token', 'revoke', 'nope'],
      ['agents', 'revoke', 'nope'],
      ['agents', 'approve', 'nope'],
    ]) {
      const ran = await admin(args);
      expect(ran, args.join(' ')).toMatchObject({ code: 1 });
      expect(ran.err).toContain('nope');
    }
    const asJson = await admin(['describe', 'job', 'nope', '-o', 'json']);
    expect(JSON.parse(asJson.out)).toMatchObject({ error: { status: 404, code: 'not_found' } });
  });

  test('results come as a table, as JSON and as lines, all pages of them', async () => {
    const { id } = await json(['describe', 'agent', 'press-7']);
    await store(String(id), 1, 1200);
    const { out } = await admin(['results', 'hot', '--limit', '2'], { columns: 200 });
    expect(out.split('\n')).toHaveLength(4);
    expect(out).toContain('k2');
    expect(out).toContain('{"load1":2}');
    expect(out).toMatch(/Z +press-7 +k2/);
    const wrong = await admin(['results', 'hott']);
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.err).toContain('no dataset named "hott"');
    expect(wrong.err).toContain('did you mean "hot"?');
    expect((await admin(['get', 'alerts'])).out).toBe('no alerts\n');
    const alert = { kind: 'alert', lane: 'alerts', key: 'null' } as const;
    const value = JSON.stringify({ status: 'firing', severity: 'critical' });
    await store(String(id), 5000, 2, { ...alert, value });
    expect((await json(['get', 'alerts'])).items).toMatchObject([{ seq: 5001 }, { seq: 5000 }]);
    expect((await admin(['get', 'alerts'])).out).toMatch(/Z +hot +press-7 +- +firing +critical\n/);
    const all = await admin(['results', 'hot', '--limit', '5000', '-o', 'jsonl']);
    expect(all.out.trim().split('\n')).toHaveLength(1200);
    const since = await json([
      'results',
      'hot',
      '--agent',
      'press-7',
      '--since',
      '1970-01-01T00:20:00Z',
    ]);
    expect((since.items as unknown[]).length).toBe(1);
    expect((await json(['results', 'hot', '--agent', 'other'])).items).toEqual([]);
    expect((await json(['get', 'datasets'])).items).toMatchObject([{ dataset: 'hot', rows: 1200 }]);
  });

  test('--follow goes on with what comes in, until it is interrupted', async () => {
    const { id } = await json(['describe', 'agent', 'press-7']);
    const interrupt = new AbortController();
    let seen = 0;
    let stored: Promise<void> | undefined;
    const ran = await admin(['results', 'hot', '--follow', '-o', 'json'], {
      interrupted: interrupt.signal,
      onOut(text) {
        seen += text.split('\n').length - 1;
        if (seen === 1200) stored ??= store(String(id), 5001, 3);
        if (seen === 1203) interrupt.abort();
      },
    });
    await stored;
    expect(ran.code).toBe(0);
    expect(ran.out.trim().split('\n').at(-1)).toContain('"k5003"');
  });

  test('only a window can be retracted: without one, null is a value', async () => {
    await store('a', 1, 1, { dataset: 'odd', value: 'null' });
    await store('a', 2, 1, { dataset: 'odd', value: 'null', window_start: null, window_end: null });
    const { out } = await admin(['results', 'odd'], { columns: 200 });
    expect(out).toMatch(/k1 .*\(retracted\)\n[^\n]*k2 .*null\n$/);
  });

  test('what a revoked device said last is told as past', async () => {
    const device = await Device.join(control, { name: 'press-8', labels: { site: 'lyon' } });
    const row = async () => /^press-8 .*$/m.exec((await admin(['get', 'agents'])).out)?.[0] ?? '';
    const sources = [sourceReportOf({ id: 'host-3c99', label: 'this device, every 10s' })];
    const deadLettersBy = { 'keep: missing_key': 2, other: 1 };
    await device.beat({ jobs: [jobReportOf({ name: 'hot', deadLettersBy })], sources });
    await waitFor('the heartbeat', async () => / online +.* 1\/1 running +ok /.test(await row()));
    await admin(['agents', 'revoke', 'press-8']);
    await device.closed;
    expect(await row()).toMatch(/^press-8 +revoked +.* was 1\/1 running +revoked +site=lyon$/);
    const { out } = await admin(['describe', 'agent', 'press-8']);
    expect(out).toContain('Jobs (as last reported)');
    expect(out).toMatch(
      /Dead letters.*\n +JOB .*\n +hot +keep +missing_key +2 *\n +hot +- +other +1/,
    );
    expect(out).toMatch(/host +this device, every 10s +yes .* host-3c99\n/);
  });

  test('a device is shut out, and a job is stopped; its versions stay', async () => {
    expect((await admin(['agents', 'revoke', 'press-7'])).out).toBe('press-7: revoked\n');
    expect((await admin(['get', 'agents'])).out).toContain('revoked');
    expect((await admin(['delete', 'job', 'hot'])).out).toContain('hot: deleted');
    expect((await json(['get', 'jobs'])).items).toEqual([]);
    expect((await json(['get', 'versions', 'hot'])).items).toHaveLength(2);
  });
});
