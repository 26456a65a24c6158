/** The task `reindex` over a real PostgreSQL, with what an attempt that was cut off leaves. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Postgres, POSTGRES_PROGRAMS } from '../../../support/postgres.ts';
import { describeWith } from '../../../support/programs.ts';
import { taskSite } from '../../../support/task-context.ts';

describeWith(POSTGRES_PROGRAMS, 'indexes of PostgreSQL', () => {
  let server: Postgres;
  let databases = 0;

  beforeAll(async () => {
    server = await Postgres.start();
  });
  afterAll(() => server.stop());

  async function open(settings: object = {}, common: object = {}) {
    const name = `re${++databases}`;
    await server.query(`CREATE DATABASE ${name}`);
    const query = (sql: string) =>
      server.query(sql, [], name) as Promise<readonly Record<string, unknown>[]>;
    await query('CREATE TABLE daily (machine text, n integer)');
    await query("INSERT INTO daily SELECT 'm' || i % 10, i FROM generate_series(1, 1000) i");
    await query('CREATE INDEX by_machine ON daily (machine)');
    await query('CREATE INDEX "by ""n""" ON daily (n)');
    const site = taskSite();
    const postgres = { url: server.url(name), tables: ['daily'], ...settings };
    const program = site.program({ tasks: [{ id: 't', reindex: { postgres, ...common } }] });
    const files = async () => {
      const named = "SELECT relfilenode FROM pg_class WHERE relname LIKE 'by%' ORDER BY 1";
      const rows = await query(named);
      return rows.map((row) => String(row['relfilenode']));
    };
    return { site, program, query, files };
  }

  it.each([true, false])('are rebuilt and analyzed (concurrently: %s)', async (how) => {
    const { site, program, query, files } = await open({ concurrently: how });
    const before = await files();
    const { success } = await site.attempt(program, 't');
    expect(success.output).toEqual({ indexes: 2, leftovers: 0, rebuilt: 2 });
    const after = await files();
    expect(after).toHaveLength(2);
    expect(after.filter((file) => before.includes(file))).toEqual([]);
    const statistics = "SELECT count(*)::int AS n FROM pg_stats WHERE tablename = 'daily'";
    const [stats] = await query(statistics);
    expect(stats).toEqual({ n: 2 });
  });

  it('that a cut attempt left are dropped, and one that is not valid is rebuilt', async () => {
    const { site, program, query } = await open();
    // As REINDEX CONCURRENTLY leaves it: the index could not be built to its end.
    const leftover = query('CREATE UNIQUE INDEX CONCURRENTLY by_machine_ccnew ON daily (machine)');
    await expect(leftover).rejects.toThrow(/duplicated|unique/);
    const invalid = query('CREATE UNIQUE INDEX CONCURRENTLY own ON daily (machine)');
    await expect(invalid).rejects.toThrow(/duplicated|unique/);
    await query('DELETE FROM daily WHERE n > 9');
    const { success } = await site.attempt(program, 't');
    expect(success.output).toEqual({ indexes: 3, leftovers: 1, rebuilt: 3 });
    const left = await query(
      'SELECT indexrelid::regclass::text AS name, indisvalid AS valid ' +
        "FROM pg_index WHERE indrelid = 'daily'::regclass ORDER BY 1",
    );
    expect(left.map(({ valid }) => valid)).toEqual([true, true, true]);
    expect(left.map(({ name }) => name)).not.toContain('by_machine_ccnew');
  });

  it('are only counted with dryRun', async () => {
    const { site, program, files } = await open({}, { dryRun: true });
    const before = await files();
    const { success } = await site.attempt(program, 't');
    expect(success.output).toEqual({ indexes: 2, leftovers: 0, rebuilt: 0 });
    expect(await files()).toEqual(before);
  });

  it('of no table, or at a host that policy.yaml does not name, fail', async () => {
    const { site, program } = await open({ tables: ['daily', 'nope"; DROP TABLE daily; --'] });
    const missing = await site.failure(program, 't');
    expect(missing).toMatchObject({ class: 'rejected', code: 'reindex_table' });
    site.policy = { hosts: ['mes.site'] };
    expect(await site.failure(program, 't')).toMatchObject({ class: 'policy' });
  });
});
