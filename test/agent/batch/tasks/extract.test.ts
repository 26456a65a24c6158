/** The extract task over HTTP, files and MQTT: paging, cursors, bad lines, bounds. */
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { EmbeddedBroker } from '@runnel/agent/sources/embedded-broker.ts';
import { taskContract } from '../../../contracts/task-contract.ts';
import { type Asked, httpServer } from '../../../support/http-server.ts';
import { Mosquitto } from '../../../support/mosquitto.ts';
import { describeWith } from '../../../support/programs.ts';
import { type ContextOptions, taskSite, type TaskSite } from '../../../support/task-context.ts';

const program = (site: TaskSite, extract: unknown) =>
  site.program({ tasks: [{ id: 't', extract }] });
const attempt = (site: TaskSite, extract: unknown, options?: ContextOptions) =>
  site.attempt(program(site, extract), 't', options);
const failure = (site: TaskSite, extract: unknown, options?: ContextOptions) =>
  site.failure(program(site, extract), 't', options);

/** The rows of an attempt. */
async function rowsOf(site: TaskSite, extract: unknown, options?: ContextOptions) {
  return site.rows((await attempt(site, extract, options)).success.table);
}

taskContract({
  kind: 'extract',
  async setup(site) {
    const server = await httpServer(() => ({ body: { items: [{ id: 1 }, { id: 2 }] } }));
    const extract = { http: { url: server.url }, cursor: { value: 'row.id', param: 'since' } };
    return { program: program(site, extract), task: 't', effects: null };
  },
  async endless(site) {
    const server = await httpServer(() => ({ hang: true }));
    const extract = { http: { url: server.url } };
    return { program: program(site, extract), task: 't', started: () => server.asked.length > 0 };
  },
});

/** Numbers from 0 on, `limit` of them from `offset`. */
const numbers = (offset: number, limit: number, total = 7) =>
  Array.from({ length: Math.max(0, Math.min(limit, total - offset)) }, (_, at) => ({
    n: offset + at,
  }));
const ALL = numbers(0, 7);
const query = ({ url }: Asked, name: string, preset: number): number =>
  Number(url.searchParams.get(name) ?? preset);

describe('pages of an HTTP API', () => {
  it('by a Link header, relative to the page that had it', async () => {
    const server = await httpServer((asked) => {
      const page = query(asked, 'page', 0);
      const link = `<?page=${page + 1}>; rel="next"`;
      return { headers: page < 3 ? { link } : {}, body: numbers(page * 2, 2) };
    });
    const site = taskSite();
    expect(await rowsOf(site, { http: { url: server.url, paging: { link: true } } })).toEqual(ALL);
    expect(server.asked).toHaveLength(4);
  });

  it('by an expression: a URL, or a map for the query; a missing key is the end', async () => {
    const server = await httpServer((asked) => {
      const at = query(asked, 'at', 0);
      const next = at + 3 < 7 ? { url: `/list?at=${at + 3}`, args: { at: at + 3 } } : {};
      return { body: { data: { items: numbers(at, 3) }, ...next } };
    });
    const site = taskSite();
    const rows = 'response.body.data.items';
    for (const next of ['response.body.url', 'response.body.args']) {
      const http = { url: `${server.url}/list`, paging: { next } };
      expect(await rowsOf(site, { http, rows }), next).toEqual(ALL);
    }
  });

  it('by number, with and without the size of a full page', async () => {
    const server = await httpServer((asked) => ({
      body: numbers((query(asked, 'p', 1) - 1) * 3, query(asked, 'per', 3)),
    }));
    const site = taskSite();
    const http = (page: object) => ({ http: { url: server.url, paging: { page } } });
    expect(await rowsOf(site, http({ param: 'p' }))).toEqual(ALL);
    expect(server.asked).toHaveLength(4);
    server.asked.length = 0;
    expect(await rowsOf(site, http({ param: 'p', sizeParam: 'per', size: 3 }))).toEqual(ALL);
    expect(server.asked).toHaveLength(3);
  });

  it('by offset and limit', async () => {
    const server = await httpServer((asked) => ({
      body: { rows: numbers(query(asked, 'offset', -1), query(asked, 'limit', -1)) },
    }));
    const http = { url: server.url, paging: { offset: { limit: 3 } } };
    expect(await rowsOf(taskSite(), { http })).toEqual(ALL);
  });

  it('of JSON lines', async () => {
    const server = await httpServer(() => ({ body: '{"n":1}\n\n{"n":2}\n' }));
    const http = { url: server.url, format: 'jsonl' };
    expect(await rowsOf(taskSite(), { http })).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('that lead in a circle fail, and so do too many', async () => {
    const server = await httpServer((asked) => ({
      body: { items: [{}], next: `/?page=${(query(asked, 'page', 0) + 1) % 5}` },
    }));
    const http = { url: `${server.url}/?page=0`, paging: { next: 'response.body.next' } };
    expect(await failure(taskSite(), { http })).toMatchObject({ code: 'paging_loop' });
    const few = { http: { ...http, pagesMax: 3 } };
    expect(await failure(taskSite(), few)).toMatchObject({ class: 'resources', code: 'pages_max' });
  });

  it('fail as a whole when one fails, and nothing of them counts', async () => {
    const server = await httpServer((asked) =>
      query(asked, 'page', 1) === 3 ? { status: 503 } : { body: [{ n: 1 }] },
    );
    const http = { url: server.url, paging: { page: {} } };
    const error = await failure(taskSite(), { http });
    expect(error).toMatchObject({ class: 'unavailable', code: 'http_status' });
    expect(server.asked).toHaveLength(3);
  });

  it('say where no list is found, and take the only one', async () => {
    const bodies: unknown[] = [{ a: [], b: [] }, { ok: true }, { ok: true, list: [1, 'x'] }];
    const server = await httpServer((_asked, count) => ({ body: bodies[count - 1] }));
    const extract = { http: { url: server.url } };
    expect((await failure(taskSite(), extract)).message).toContain('several lists');
    expect((await failure(taskSite(), extract)).message).toContain('no list');
    expect(await rowsOf(taskSite(), extract)).toEqual([{ value: 1 }, { value: 'x' }]);
  });

  it('stop at rowsMax', async () => {
    const server = await httpServer(() => ({ body: ALL }));
    const error = await failure(taskSite(), { http: { url: server.url }, rowsMax: 6 });
    expect(error).toMatchObject({ class: 'resources', code: 'rows_max' });
  });
});

describe('the cursor of an HTTP extract', () => {
  const cursor = { from: '2026-01-01T00:00:00Z', value: 'row.at', param: 'since' };

  it('begins at from, goes on at the largest value, and skips what was seen', async () => {
    const at = (second: string) => ({ at: `2026-03-01T00:00:${second}Z` });
    const answers = [[at('01.1'), at('01.12'), at('00')], [at('01.12'), at('02')], []];
    const server = await httpServer((_asked, count) => ({ body: answers[count - 1] }));
    const site = taskSite();
    const extract = { http: { url: server.url }, cursor };
    const first = await attempt(site, extract);
    expect(first.success.cursor).toEqual({ value: at('01.12').at });
    const second = await attempt(site, extract, { cursor: first.success.cursor ?? null });
    expect(await site.rows(second.success.table)).toEqual([at('02')]);
    const third = await attempt(site, extract, { cursor: second.success.cursor ?? null });
    expect(third.success).toMatchObject({
      cursor: { value: at('02').at },
      output: { rowCount: 0 },
    });
    const asked = server.asked.map(({ url }) => url.searchParams.get('since'));
    expect(asked).toEqual([cursor.from, at('01.12').at, at('02').at]);
  });

  it('is ignored by a full refresh', async () => {
    const server = await httpServer(() => ({ body: [{ at: '2026-02-01T00:00:00Z' }] }));
    const stored = { cursor: { value: '2026-06-01T00:00:00Z' }, fullRefresh: true };
    const { success } = await attempt(taskSite(), { http: { url: server.url }, cursor }, stored);
    expect(server.asked[0]?.url.searchParams.get('since')).toBe(cursor.from);
    expect(success.cursor).toEqual({ value: '2026-02-01T00:00:00Z' });
  });

  it('needs a value of one kind on every row', async () => {
    const bodies: unknown[] = [[{ at: 1 }, { at: 'x' }], [{}], [{ at: null }]];
    const server = await httpServer((_asked, count) => ({ body: bodies[count - 1] }));
    const extract = { http: { url: server.url }, cursor: { value: 'row.at', param: 'since' } };
    for (const _ of bodies) {
      const error = await failure(taskSite(), extract);
      expect(error).toMatchObject({ class: 'data', code: 'cursor_value' });
    }
  });
});

describe('rows of files', () => {
  const write = (site: TaskSite, name: string, content: string | Buffer): string => {
    const path = join(site.dataDir, 'in', name);
    mkdirSync(join(site.dataDir, 'in'), { recursive: true });
    writeFileSync(path, content);
    return path;
  };

  it('csv: quotes, line ends inside, types, a byte order mark, empty fields', async () => {
    const site = taskSite();
    const text = '\uFEFFid,name,rms,ok,extra\r\n007,"a ""b"", c\nd",1.5,yes,{"k":1}\n\n008,,,no,\n';
    write(site, 'a.csv', text.replace('{"k":1}', '"{""k"":1}"'));
    const types = { rms: 'number', ok: 'boolean', extra: 'json' };
    expect(await rowsOf(site, { file: { path: 'in/a.csv', types } })).toEqual([
      { id: '007', name: 'a "b", c\nd', rms: 1.5, ok: true, extra: { k: 1 } },
      { id: '008', name: '', rms: null, ok: false, extra: null },
    ]);
  });

  it('csv without a header, with another delimiter and the file as a column', async () => {
    const site = taskSite();
    write(site, 'a.txt', '1;2\n3;4');
    const file = { path: 'in/*.txt', format: 'csv', delimiter: ';', columns: ['a', 'b'] };
    const rows = await rowsOf(site, { file: { ...file, fileColumn: '_file' } });
    expect(rows).toEqual([
      { a: '1', b: '2', _file: 'a.txt' },
      { a: '3', b: '4', _file: 'a.txt' },
    ]);
  });

  it('json and jsonl, also across the chunks in which they are read', async () => {
    const site = taskSite();
    write(site, 'a.json', JSON.stringify({ items: [{ a: 1 }, { a: 2 }], more: [1] }));
    const rows = 'response.body.items';
    expect(await rowsOf(site, { file: { path: 'in/a.json' }, rows })).toHaveLength(2);
    const lines = Array.from({ length: 20_000 }, (_, n) => ({ n, text: 'é'.repeat(n % 50) }));
    write(site, 'b.jsonl', lines.map((line) => JSON.stringify(line)).join('\n'));
    expect(await rowsOf(site, { file: { path: 'in/b.jsonl' } })).toEqual(lines);
    const csv = lines.map(({ n, text }) => `${n},"${text}\n${text}"`).join('\n');
    write(site, 'b.csv', `n,text\n${csv}`);
    const wanted = lines.map(({ n, text }) => ({ n, text: `${text}\n${text}` }));
    const file = { path: 'in/b.csv', types: { n: 'number' } };
    expect(await rowsOf(site, { file })).toEqual(wanted);
  });

  it.each([
    ['a csv line with too few fields', 'x.csv', 'a,b\n1,2\n3\n', /line 3: has 1 fields/],
    ['a value of another type', 'x.csv', 'a,b\n1,2\nx,2\n', /a is no number/],
    ['a line that is no JSON', 'x.jsonl', '{"a":1}\n{"a":\n', /line 2: is no JSON/],
    ['another encoding', 'x.csv', Buffer.from('a,b\n1,M\xFCller\n', 'latin1'), /is no UTF-8/],
    ['text behind a quote', 'x.csv', 'a,b\n1,"x"y\n', /text behind a closing quote/],
    ['a quote that stays open', 'x.csv', 'a,b\n1,"x\n2,y\n', /a quote that is not closed/],
  ])('fail on %s, or leave it to the dead letters', async (_what, name, content, message) => {
    const site = taskSite();
    write(site, name, content);
    const file = { path: `in/${name}`, types: name.endsWith('.csv') ? { a: 'number' } : {} };
    const error = await failure(site, { file });
    expect(error).toMatchObject({ class: 'data', code: 'bad_lines' });
    expect(error.message).toMatch(message);
    const { success } = await attempt(site, { file: { ...file, badLinesMax: 1 } });
    expect(success.deadRows).toMatchObject([{ reason: 'bad_line' }]);
    expect(success.deadRows?.[0]?.message).toMatch(message);
    expect(success.output).toMatchObject({ badLines: 1 });
  });

  it('are taken once with take: new, and again when they changed', async () => {
    const site = taskSite();
    for (const name of ['a.jsonl', 'b.jsonl']) write(site, name, `{"from":"${name}"}\n`);
    write(site, '.hidden.jsonl', '{"from":"hidden"}\n');
    const extract = { file: { path: 'in/[ab].jsonl', take: 'new' } };
    const first = await attempt(site, extract);
    expect(await site.rows(first.success.table)).toEqual([
      { from: 'a.jsonl' },
      { from: 'b.jsonl' },
    ]);
    const cursor = first.success.cursor ?? null;
    expect(await rowsOf(site, extract, { cursor })).toEqual([]);
    const changed = write(site, 'b.jsonl', '{"from":"b again"}\n');
    utimesSync(changed, 2_000_000_000, 2_000_000_000);
    expect(await rowsOf(site, extract, { cursor })).toEqual([{ from: 'b again' }]);
    expect(await rowsOf(site, extract, { cursor, fullRefresh: true })).toHaveLength(2);
  });

  it('are read only where policy allows, links followed', async () => {
    const site = taskSite();
    const refused = await failure(site, { file: { path: '/etc/passwd', format: 'csv' } });
    expect(refused.class).toBe('policy');
    expect(await failure(site, { file: { path: 'in/none.csv' } })).toMatchObject({
      code: 'file_missing',
    });
  });
});

/** Publishes retained and other messages, and gives what they are as rows. */
async function publishRetained(url: string): Promise<unknown[]> {
  const client = await connectAsync(url, { protocolVersion: 4 });
  for (let n = 0; n < 20; n += 1) {
    await client.publishAsync(`line/${n}/recipe`, JSON.stringify({ n }), { qos: 1, retain: true });
    await client.publishAsync(`line/${n}/state`, 'not this one', { qos: 1, retain: true });
    await client.publishAsync(`line/${n}/recipe/x`, '{}', { qos: 1 });
  }
  await client.endAsync();
  return Array.from({ length: 20 }, (_, n) => ({ topic: `line/${n}/recipe`, payload: { n } }));
}

const byNumber = (rows: readonly object[]) =>
  rows.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));

describeWith(['mosquitto'], 'retained messages', () => {
  it('of a broker are rows, and nothing else is', async () => {
    const login = { username: 'runnel', password: 'geheim' };
    const mosquitto = await Mosquitto.start({ login });
    const { port } = mosquitto;
    const wanted = await publishRetained(`mqtt://runnel:geheim@127.0.0.1:${port}`);
    const site = taskSite();
    site.env = { RUNNEL_SECRET_B: 'geheim' };
    const password = { env: 'RUNNEL_SECRET_B' };
    const mqtt = { url: mosquitto.url, username: 'runnel', password, topic: 'line/+/recipe' };
    const extract = { mqtt: { ...mqtt, idle: '300ms' } };
    expect(byNumber(await rowsOf(site, extract))).toEqual(byNumber(wanted as object[]));
    const none = { mqtt: { ...mqtt, topic: 'none/#', idle: '100ms' } };
    expect(await rowsOf(site, none)).toEqual([]);
    site.env = { RUNNEL_SECRET_B: 'wrong' };
    expect((await failure(site, extract)).class).toBe('network');
  });
});

it("retained messages of the device's own broker are rows too", async () => {
  const log = pino({ level: 'silent' });
  const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, clock: systemClock, log });
  onTestFinished(() => broker.stop());
  broker.open();
  const site = taskSite();
  site.broker = { kind: 'embedded', broker };
  const extract = { mqtt: { topic: 'line/+/recipe' } };
  expect(await rowsOf(site, extract)).toEqual([]);
  const wanted = await publishRetained(`mqtt://127.0.0.1:${broker.port}`);
  expect(byNumber(await rowsOf(site, extract))).toEqual(byNumber(wanted as object[]));
});

it('a table of many rows is written without holding them', async () => {
  const site = taskSite();
  const path = join(site.dataDir, 'big.jsonl');
  const line = `${JSON.stringify({ text: 'x'.repeat(1000) })}\n`;
  writeFileSync(path, line.repeat(60_000));
  global.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  const { success } = await attempt(site, { file: { path: 'big.jsonl' } });
  expect(success.output).toMatchObject({ rowCount: 60_000 });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40_000_000);
  expect(readFileSync(site.tables.pathOf(success.table!)).length).toBe(line.length * 60_000);
});
