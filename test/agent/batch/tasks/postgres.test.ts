/** PostgreSQL as origin and target: a real cluster, also one that goes away in the middle. */
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import { makeTlsFiles } from '../../../support/mosquitto.ts';
import { Postgres, POSTGRES_PROGRAMS } from '../../../support/postgres.ts';
import { describeWith } from '../../../support/programs.ts';
import { type ContextOptions, taskSite, type TaskSite } from '../../../support/task-context.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { roundTripContract } from '../changes/round-trip.ts';
import { CHANGES, changesContract, EVENTS } from './change-databases.ts';
import { type DatabaseUnderTest, load, loadContract, ROWS } from './load-databases.ts';

/** Sessions that run `pg_sleep`. */
const SLEEPING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";

describeWith(POSTGRES_PROGRAMS, 'PostgreSQL', () => {
  let server: Postgres;
  let databases = 0;

  beforeAll(async () => {
    server = await Postgres.start();
  });
  afterAll(() => server.stop());

  async function open(site: TaskSite): Promise<DatabaseUnderTest> {
    const name = `db${++databases}`;
    await server.query(`CREATE DATABASE ${name}`);
    const query = (sql: string) => server.query(sql, [], name) as Promise<never>;
    return {
      site,
      kind: 'postgres',
      connection: { url: server.url(name) },
      exec: query,
      query,
    };
  }

  function extract({ site, connection }: DatabaseUnderTest, settings: object, more: object = {}) {
    const extracted = { postgres: { ...connection, ...settings }, ...more };
    return site.program({ tasks: [{ id: 't', extract: extracted }] });
  }

  describe('a load into it', () => {
    loadContract(open);

    it('turns values into the types of the columns', async () => {
      const database = await open(taskSite());
      await database.exec(
        'CREATE TABLE daily (at timestamptz, day date, amount numeric(10, 2), tags jsonb, ' +
          'list int[], ok boolean, id uuid, note text, n bigint DEFAULT 7)',
      );
      const id = '11111111-2222-3333-4444-555555555555';
      const row = {
        at: 1_795_305_600_123,
        day: '2026-11-22',
        amount: 1.5,
        tags: { a: [1] },
        list: [1, 2],
        ok: true,
        id,
        note: { is: 'json' },
      };
      await load(database, {}, [row]);
      const [stored] = await database.query(
        'SELECT at::text, day::text, amount::text, tags, list, ok, id, note, n FROM daily',
      );
      expect(stored).toEqual({
        at: '2026-11-22 00:00:00.123+00',
        day: '2026-11-22',
        amount: '1.50',
        tags: { a: [1] },
        list: [1, 2],
        ok: true,
        id,
        note: '{"is":"json"}',
        n: '7',
      });
      const wrong = load(database, {}, [{ id: 'no uuid' }], { partition: { id: 'x' } });
      await expect(wrong).rejects.toMatchObject({ class: 'data' });
    });

    it('keeps its ledger in the schema of the table, without a right to make one', async () => {
      const database = await open(taskSite());
      await database.exec('CREATE SCHEMA mes');
      await database.exec('CREATE TABLE mes.daily (machine text, day text, rms float, n int)');
      await load(database, { table: 'mes.daily' });
      await database.exec(`CREATE ROLE writer${databases} LOGIN`);
      const role = `writer${databases}`;
      await database.exec(`GRANT USAGE ON SCHEMA mes TO ${role}`);
      await database.exec(`GRANT ALL ON ALL TABLES IN SCHEMA mes TO ${role}`);
      const url = server.url(`db${databases}`, role);
      const limited = { ...database, connection: { url } };
      const other = { partition: { id: 'other' } };
      await load(limited, { table: 'mes.daily' }, ROWS, other);
      expect(await database.query('SELECT count(*)::int AS n FROM mes.runnel_runs')).toEqual([
        { n: 2 },
      ]);
      const refused = load(limited, { table: 'mes.none', create: true }, ROWS, {
        partition: { id: 'another' },
      });
      await expect(refused).rejects.toMatchObject({ class: 'rejected' });
    });

    it.each([
      ['rows', {}, ROWS, {}],
      ['changes', CHANGES, EVENTS, { applied: 2, stale: 0 }],
    ])('whose answer to COMMIT is lost is known: %s', async (_what, mode, rows, counts) => {
      const database = await open(taskSite());
      await database.exec('CREATE TABLE daily (machine text, day text, rms float, n int)');
      const port = await cutAfterCommit(server.port);
      const url = server.url(`db${databases}`).replace(String(server.port), String(port));
      const through = { ...database, connection: { url } };
      await expect(load(through, mode, rows)).rejects.toMatchObject({ class: 'network' });
      const count = () => database.query('SELECT count(*)::int AS n FROM daily');
      await waitFor('the commit', async () => (await count())[0]?.n === 2);
      const again = await load(database, mode, rows, { attempt: 2 });
      expect(again.success.output).toMatchObject({ loaded: false, ...counts });
      expect(await count()).toEqual([{ n: 2 }]);
    });

    it('by two at once counts once', async () => {
      const database = await open(taskSite());
      await database.exec('CREATE TABLE daily (machine text, day text, rms float, n int)');
      const both = await Promise.all([load(database, {}), load(database, {})]);
      const loaded = both.map(({ success }) => (success.output as { loaded: boolean }).loaded);
      expect(new Set(loaded)).toEqual(new Set([false, true]));
      expect(await database.query('SELECT count(*)::int AS n FROM daily')).toEqual([{ n: 2 }]);
    });
  });

  describe('a load of change events into it', () => {
    changesContract(open);
    roundTripContract(open, { numRuns: 6 });
  });

  describe('an extract from it', () => {
    it('binds templates and the cursor, and gives every kind of value', async () => {
      const database = await open(taskSite());
      const query = `SELECT 1::int8 AS small, 9007199254740993::int8 AS big, 1.50::numeric AS n,
          12345678901234567.89::numeric AS exact, 'NaN'::float8 AS nan, true AS ok,
          '2026-11-22 10:00:00.123456+02'::timestamptz AS at,
          '2026-11-22 10:00'::timestamp AS local,
          '2026-11-22'::date AS day, '{"a": [1]}'::jsonb AS doc, ARRAY['a', NULL, 'b "c"'] AS list,
          ARRAY[[1, 2], [3, 4]] AS grid, '\\x6869'::bytea AS bytes, interval '90 minutes' AS took,
          NULL::text AS nothing, {{ partition.date }}::text AS bound, $cursor::text AS since,
          '$cursor' AS text`;
      const cursor = { from: 'x', value: 'row.since', skipSeen: false };
      const { success } = await database.site.attempt(
        extract(database, { query }, { cursor }),
        't',
      );
      expect(await database.site.rows(success.table)).toEqual([
        {
          small: 1,
          big: '9007199254740993',
          n: 1.5,
          exact: '12345678901234567.89',
          nan: 'NaN',
          ok: true,
          at: '2026-11-22T08:00:00.123456Z',
          local: '2026-11-22T10:00:00',
          day: '2026-11-22',
          doc: { a: [1] },
          list: ['a', null, 'b "c"'],
          grid: [
            [1, 2],
            [3, 4],
          ],
          bytes: 'aGk=',
          took: 'PT1H30M',
          nothing: null,
          bound: '2026-11-22',
          since: 'x',
          text: '$cursor',
        },
      ]);
    });

    it('goes on where it was, to the microsecond', async () => {
      const database = await open(taskSite());
      await database.exec('CREATE TABLE t (at timestamptz)');
      const query = 'SELECT at FROM t WHERE at > $cursor ORDER BY random()';
      const cursor = { from: '2026-01-01T00:00:00Z', value: 'row.at' };
      const program = extract(database, { query }, { cursor });
      await database.exec(
        "INSERT INTO t VALUES ('2026-11-22 00:00:00.1Z'), ('2026-11-22 00:00:00.100001Z')",
      );
      const first = await database.site.attempt(program, 't');
      expect(first.success.cursor).toEqual({ value: '2026-11-22T00:00:00.100001Z' });
      await database.exec("INSERT INTO t VALUES ('2026-11-22 00:00:00.100002Z')");
      const options = { cursor: first.success.cursor ?? null };
      const second = await database.site.attempt(program, 't', options);
      expect(await database.site.rows(second.success.table)).toEqual([
        { at: '2026-11-22T00:00:00.100002Z' },
      ]);
    });

    it('streams many rows, and stops at rowsMax', async () => {
      const database = await open(taskSite());
      const query = "SELECT n, repeat('x', 100) AS text FROM generate_series(1, 100000) AS n";
      const { success } = await database.site.attempt(extract(database, { query }), 't');
      expect(success.output).toMatchObject({ rowCount: 100_000 });
      const few = extract(database, { query }, { rowsMax: 1000 });
      expect(await database.site.failure(few, 't')).toMatchObject({ code: 'rows_max' });
    });

    it.each([
      ['a write behind WITH', 'WITH a AS (DELETE FROM t RETURNING id) SELECT * FROM a', 'rejected'],
      ['a table that is not there', 'SELECT * FROM none', 'rejected'],
      ['a division by zero', 'SELECT 1 / 0', 'data'],
    ])('refuses %s', async (_what, query, errorClass) => {
      const database = await open(taskSite());
      await database.exec('CREATE TABLE t (id int)');
      await database.exec('INSERT INTO t VALUES (1)');
      const error = await database.site.failure(extract(database, { query }), 't');
      expect(error.class).toBe(errorClass);
      expect(await database.query('SELECT * FROM t')).toEqual([{ id: 1 }]);
    });

    it('that is told to end gives the reason, and the server gives up the query', async () => {
      const database = await open(taskSite());
      const control = new AbortController();
      const options: ContextOptions = { signal: control.signal };
      const program = extract(database, { query: 'SELECT pg_sleep(600)' });
      const ended = database.site.failure(program, 't', options);
      const active = () => database.query(SLEEPING);
      await waitFor('the query', async () => (await active()).length === 1);
      control.abort(new TaskError('timeout', 'task_timeout', 'too long'));
      expect((await ended).code).toBe('task_timeout');
      await waitFor('its end', async () => (await active()).length === 0);
    });

    it('fails with the class network or unavailable while the server is away', async () => {
      const own = await Postgres.start();
      onTestFinished(() => own.stop());
      const site = taskSite();
      const database = { ...(await open(site)), connection: { url: own.url() } };
      const program = extract(database, { query: 'SELECT pg_sleep(600)' });
      const ended = site.failure(program, 't');
      const active = () => own.query(SLEEPING);
      await waitFor('the query', async () => (await active()).length > 0);
      await own.end();
      expect(['network', 'unavailable']).toContain((await ended).class);
      expect((await site.failure(program, 't')).class).toBe('network');
    });
  });
});

describeWith([...POSTGRES_PROGRAMS, 'openssl'], 'logging in to PostgreSQL', () => {
  it('takes the password by reference, and encrypts as it is told', async () => {
    const tls = makeTlsFiles();
    const server = await Postgres.start({ tls, password: 'geheim' });
    onTestFinished(() => server.stop());
    const site = taskSite();
    site.policy = { paths: [tls.ca] };
    site.env = { RUNNEL_SECRET_DB: 'geheim', RUNNEL_SECRET_NO: 'wrong' };
    const query = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
    const attempt = (settings: object) => {
      const url = server.url('postgres', 'postgres', 'localhost');
      const postgres = { url, query, password: { env: 'RUNNEL_SECRET_DB' }, ...settings };
      return site.program({ tasks: [{ id: 't', extract: { postgres } }] });
    };
    const ssl = async (settings: object) => {
      const { success } = await site.attempt(attempt(settings), 't');
      return (await site.rows(success.table))[0]?.ssl;
    };
    expect(await ssl({})).toBe(false);
    expect(await ssl({ tls: 'require' })).toBe(true);
    expect(await ssl({ tls: 'verify', ca: tls.ca })).toBe(true);
    expect((await site.failure(attempt({ tls: 'verify' }), 't')).class).toBe('network');
    const wrong = attempt({ password: { env: 'RUNNEL_SECRET_NO' } });
    const error = await site.failure(wrong, 't');
    expect(error).toMatchObject({ class: 'rejected', code: 'postgres_28P01' });
    expect(error.message).not.toContain('wrong');
    process.env.PGPASSWORD = 'geheim';
    const none = await site.failure(attempt({ password: undefined }), 't');
    delete process.env.PGPASSWORD;
    expect(none.class).toBe('rejected');
    site.policy = { hosts: ['db.site'] };
    expect((await site.failure(attempt({}), 't')).class).toBe('policy');
  });
});

/** A way to the server that is cut when COMMIT has gone through, before its answer comes back. */
async function cutAfterCommit(port: number): Promise<number> {
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    let isCommitting = false;
    client.on('data', (chunk) => {
      isCommitting ||= chunk.includes('COMMIT');
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (isCommitting) client.destroy();
      else client.write(chunk);
    });
    client.on('close', () => upstream.end());
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => proxy.close(resolve));
  });
  const address = proxy.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
