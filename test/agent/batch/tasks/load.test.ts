/** The load and publish tasks over files, HTTP and MQTT. Databases: databases.test.ts. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { EmbeddedBroker } from '@runnel/agent/sources/embedded-broker.ts';
import { taskContract } from '../../../contracts/task-contract.ts';
import { httpServer } from '../../../support/http-server.ts';
import { ifThere } from '../../../support/if-there.ts';
import { Mosquitto } from '../../../support/mosquitto.ts';
import { describeWith } from '../../../support/programs.ts';
import { type ContextOptions, taskSite, type TaskSite } from '../../../support/task-context.ts';
import { waitFor } from '../../../support/wait-for.ts';

const ROWS: readonly Row[] = [
  { machine: 'm1', rms: 1.5, note: 'a, "b"\nc', tags: ['x'] },
  { machine: 'm2', rms: null, ok: true, note: ' padded ' },
];

const job = (site: TaskSite, task: object) =>
  site.program({
    tasks: [
      { id: 'daily', value: { value: 1 } },
      { id: 't', needs: ['daily'], ...task },
    ],
  });

async function withTable(site: TaskSite, rows = ROWS): Promise<ContextOptions> {
  return { tables: { daily: await site.table(rows) } };
}

async function load(site: TaskSite, to: object, rows = ROWS, options: ContextOptions = {}) {
  const given = { ...(await withTable(site, rows)), ...options };
  return site.attempt(job(site, { load: { input: 'daily', ...to } }), 't', given);
}

taskContract({
  kind: 'load',
  async setup(site) {
    const program = job(site, { load: { input: 'daily', file: { path: 'out/x.csv' } } });
    const effects = () => ifThere(join(site.dataDir, 'out/x.csv'))?.toString();
    return { program, task: 't', options: await withTable(site), effects };
  },
  async endless(site) {
    const server = await httpServer(() => ({ hang: true }));
    const program = job(site, { load: { input: 'daily', http: { url: server.url } } });
    const started = () => server.asked.length > 0;
    return { program, task: 't', options: await withTable(site), started };
  },
});

taskContract({
  kind: 'publish',
  async setup(site) {
    const program = job(site, { publish: { from: 'daily', dataset: 'd', deliver: true } });
    return { program, task: 't', options: await withTable(site), effects: null };
  },
});

describe('a load into a file', () => {
  it.each([
    ['csv', 'machine,rms,note,tags,ok\nm1,1.5,"a, ""b""\nc","[""x""]",\nm2,," padded ",,true\n'],
    ['jsonl', ROWS.map((row) => `${JSON.stringify(row)}\n`).join('')],
    ['json', `[${ROWS.map((row) => JSON.stringify(row)).join(',\n')}]\n`],
  ])('%s', async (format, wanted) => {
    const site = taskSite();
    const path = `out/{{ partition.date }}.${format}`;
    const { success } = await load(site, { file: { path } });
    const file = join(site.dataDir, `out/2026-11-22.${format}`);
    expect(readFileSync(file, 'utf8')).toBe(wanted);
    const bytes = Buffer.byteLength(wanted);
    expect(success.output).toEqual({ rowCount: 2, loaded: true, file, bytes });
    expect(readdirSync(join(site.dataDir, 'out'))).toEqual([`2026-11-22.${format}`]);
  });

  it('of many rows is well formed over all chunks, and replaces what was there', async () => {
    const site = taskSite();
    const many = Array.from({ length: 30_000 }, (_, n) => ({ n, text: 'é'.repeat(n % 30) }));
    for (const rows of [many, many.slice(0, 10), []]) {
      await load(site, { file: { path: 'a.json' } }, rows);
      expect(JSON.parse(readFileSync(join(site.dataDir, 'a.json'), 'utf8'))).toEqual(rows);
    }
  });

  it('that is told to end leaves the old file, and nothing beside it', async () => {
    const site = taskSite();
    await load(site, { file: { path: 'out/a.jsonl' } });
    const signal = AbortSignal.abort(new TaskError('timeout', 'timeout', 'too long'));
    await expect(
      load(site, { file: { path: 'out/a.jsonl' } }, [{ a: 1 }], { signal }),
    ).rejects.toThrow('too long');
    expect(readFileSync(join(site.dataDir, 'out/a.jsonl'), 'utf8')).toContain('m2');
    expect(readdirSync(join(site.dataDir, 'out'))).toEqual(['a.jsonl']);
  });

  it('goes only where policy allows, links followed', async () => {
    const site = taskSite();
    mkdirSync(join(site.dataDir, 'out'));
    symlinkSync('/tmp', join(site.dataDir, 'out', 'link'));
    for (const path of ['/tmp/runnel-no.csv', 'out/link/runnel-no.csv', 'batch/x.csv']) {
      await expect(load(site, { file: { path } }), path).rejects.toMatchObject({
        class: 'policy',
      });
    }
    expect(existsSync('/tmp/runnel-no.csv')).toBe(false);
  });
});

it('a load without a table says whose it is', async () => {
  const site = taskSite();
  const program = job(site, { load: { input: 'daily', file: { path: 'x.csv' } } });
  const error = await site.failure(program, 't');
  expect(error).toMatchObject({ class: 'definition', code: 'no_table' });
});

describe('a load over HTTP', () => {
  it('sends batches by rows and bytes, each with its key', async () => {
    const server = await httpServer(() => ({ status: 201 }));
    const rows = Array.from({ length: 5 }, (_, n) => ({ n, text: 'x'.repeat(n === 2 ? 2000 : 1) }));
    const http = { url: server.url, batchRows: 2, batchMax: '1KiB', wrap: 'rows' };
    const { success } = await load(taskSite(), { http }, rows);
    const sent = server.asked.map(({ body }) => (JSON.parse(body) as { rows: Row[] }).rows);
    expect(sent.map((batch) => batch.map(({ n }) => n))).toEqual([[0, 1], [2], [3, 4]]);
    expect(sent.flat()).toEqual(rows);
    expect(success.output).toEqual({ rowCount: 5, loaded: true, requests: 3 });
    const keys = server.asked.map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys).size).toBe(3);
  });

  it('counts once at a receiver that keeps keys, whenever the answer is lost', async () => {
    const taken = new Map<unknown, Row[]>();
    const server = await httpServer(({ headers, body }, count) => {
      const key = headers['idempotency-key'];
      const lines = body.trim().split('\n');
      if (!taken.has(key)) {
        taken.set(
          key,
          lines.map((line) => JSON.parse(line) as Row),
        );
      }
      // The effect is there, and the answer is not: twice in a row, in the middle.
      return count === 2 || count === 4 ? { cut: true } : {};
    });
    const rows = Array.from({ length: 10 }, (_, n) => ({ n }));
    const http = { url: server.url, batchRows: 3, format: 'jsonl' };
    const site = taskSite();
    for (const attempt of [1, 2]) {
      await expect(load(site, { http }, rows, { attempt })).rejects.toMatchObject({
        class: 'network',
      });
    }
    await load(site, { http }, rows, { attempt: 3, tries: 2 });
    expect([...taken.values()].flat()).toEqual(rows);
  });

  it('fails with the class of the answer', async () => {
    const server = await httpServer(() => ({ status: 429, headers: { 'retry-after': '3' } }));
    const failed = load(taskSite(), { http: { url: server.url } });
    await expect(failed).rejects.toMatchObject({ class: 'unavailable', retryAfterMs: 3000 });
  });
});

/** What subscribers got, by topic; ended with the test. */
async function listen(url: string): Promise<Record<string, unknown>> {
  const got: Record<string, unknown> = {};
  const client = await connectAsync(url, { protocolVersion: 4 });
  onTestFinished(() => client.endAsync(true));
  client.on('message', (topic, payload) => (got[topic] = JSON.parse(payload.toString())));
  await client.subscribeAsync('panel/#', { qos: 1 });
  return got;
}

const topicOf = "'panel/' + row.machine";

describeWith(['mosquitto'], 'rows as messages', () => {
  it('reach the broker that is named, acknowledged, with an id that stays', async () => {
    const mosquitto = await Mosquitto.start();
    const site = taskSite();
    const got = await listen(mosquitto.url);
    const mqtt = { url: mosquitto.url, topicOf, retain: true };
    const ids = [];
    for (const attempt of [1, 2]) {
      const { success } = await load(site, { mqtt }, ROWS, { attempt });
      expect(success.output).toEqual({ rowCount: 2, loaded: true, messages: 2 });
      ids.push(await waitFor('m2', () => (got['panel/m2'] as { id: string } | undefined)?.id));
      expect(got['panel/m1']).toMatchObject(ROWS[0]!);
    }
    expect(ids[0]).toBe(ids[1]);
    await mosquitto.kill();
    await expect(load(site, { mqtt })).rejects.toMatchObject({ class: 'network' });
  });

  it('fail on a topic that nobody may publish to', async () => {
    const mosquitto = await Mosquitto.start();
    const site = taskSite();
    for (const expression of ["'panel/#'", 'row.none', '1', "''"]) {
      const mqtt = { url: mosquitto.url, topicOf: expression };
      await expect(load(site, { mqtt }), expression).rejects.toMatchObject({ code: 'mqtt_topic' });
    }
  });
});

describe('a publish', () => {
  it('makes a dataset write with its key, and says so', async () => {
    const site = taskSite();
    const publish = { from: 'daily', dataset: 'daily-rms', key: 'machine', deliver: true };
    const given = await withTable(site);
    const { success } = await site.attempt(job(site, { publish }), 't', given);
    const table = given.tables?.daily;
    expect(success).toEqual({
      output: { rowCount: 2, dataset: 'daily-rms' },
      datasets: [{ dataset: 'daily-rms', table, deliver: true, key: 'machine' }],
    });
    const wrong = job(site, { publish: { ...publish, key: 'none' } });
    expect(await site.failure(wrong, 't', given)).toMatchObject({ code: 'publish_key' });
  });

  it("sends messages through the device's own broker, started when it must be", async () => {
    const log = pino({ level: 'silent' });
    const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, clock: systemClock, log });
    onTestFinished(() => broker.stop());
    broker.open();
    const site = taskSite();
    site.broker = { kind: 'embedded', broker };
    const program = job(site, { publish: { from: 'daily', mqtt: { topicOf, retain: true } } });
    await site.attempt(program, 't', await withTable(site));
    // What it retains outlives the attempt.
    const got = await listen(`mqtt://127.0.0.1:${broker.port}`);
    await waitFor('what is retained', () => Object.keys(got).length === 2);
    expect(got['panel/m1']).toMatchObject(ROWS[0]!);
  });
});
