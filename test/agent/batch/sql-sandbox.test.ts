/** What a query cannot do: reach files, the network, options, or be anything but one SELECT. */
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { taskSite, type TaskSite } from '../../support/task-context.ts';

function failing(site: TaskSite, query: string) {
  return site.failure(site.program({ tasks: [{ id: 'q', sql: { query } }] }), 'q');
}

describe('a query cannot read', () => {
  it.each([
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT * FROM read_text('../../../../../../../../etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
    'SELECT * FROM json_execute_serialized_sql(json_serialize_sql(' +
      "'SELECT * FROM read_text(''/etc/passwd'')'))",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
  ])('%s', async (query) => {
    const error = await failing(taskSite(), query);
    expect(['policy', 'definition']).toContain(error.class);
    expect(error.message).toMatch(/Permission Error|disabled by configuration|not exist|Missing/);
  });

  it("the agent's own files, by any name", async () => {
    const site = taskSite();
    mkdirSync(join(site.dataDir, 'identity'));
    writeFileSync(join(site.dataDir, 'identity/keys.csv'), 'secret\nabc\n');
    symlinkSync('identity', join(site.dataDir, 'link'));
    for (const path of ['identity/keys.csv', 'link/keys.csv', 'link/*.csv', '../x.csv']) {
      expect((await failing(site, `SELECT * FROM file('${path}')`)).class).toBe('policy');
    }
    const text = join(site.dataDir, 'identity/keys.csv');
    expect((await failing(site, `SELECT * FROM read_text('${text}')`)).class).toBe('policy');
  });

  it('the environment of the agent', async () => {
    const error = await failing(taskSite(), "SELECT getenv('PATH')");
    expect(error.message).toMatch(/does not exist/);
  });
});

describe('a query is one SELECT and not', () => {
  it.each(
    [
      "ATTACH '/tmp/other.db'",
      "COPY (SELECT 1) TO '/tmp/runnel-sql-escape.csv'",
      "EXPORT DATABASE '/tmp/runnel-sql-escape'",
      'INSTALL httpfs',
      "LOAD '/tmp/x.duckdb_extension'",
      "SET memory_limit = '8GB'",
      'RESET memory_limit',
      "PRAGMA memory_limit = '8GB'",
      'CREATE TABLE x AS SELECT 1',
      "CALL enable_logging(storage = 'file', storage_path = '/tmp/runnel-sql-escape-log')",
      'SELECT 1; SELECT 2',
      "SELECT 1; COPY (SELECT 1) TO '/tmp/runnel-sql-escape.csv'",
      'SELEC 1',
      '',
    ].filter((query) => query !== ''),
  )('%s', async (query) => {
    const error = await failing(taskSite(), query);
    expect(error).toMatchObject({ class: 'definition', code: 'sql_invalid' });
    expect(readdirSync('/tmp').filter((name) => name.startsWith('runnel-sql-escape'))).toEqual([]);
  });
});

describe('a value', () => {
  it('is bound and never becomes SQL', async () => {
    const site = taskSite();
    const evil = "x'; COPY (SELECT 1) TO '/tmp/runnel-sql-escape.csv'; --";
    const program = site.program({
      parameters: { name: { type: 'string', default: evil } },
      tasks: [{ id: 'q', sql: { query: 'SELECT {{ params.name }} AS name, {{ 2 }} AS n' } }],
    });
    const { success } = await site.attempt(program, 'q');
    expect(await site.rows(success.table)).toEqual([{ name: evil, n: 2 }]);
    expect(existsSync('/tmp/runnel-sql-escape.csv')).toBe(false);
  });

  it('cannot name what is read', () => {
    const task = { id: 'q', sql: { query: "SELECT * FROM file({{ 'x' + '.csv' }})" } };
    expect(() => taskSite().program({ tasks: [task] })).toThrow(/write the name as a text/);
  });
});
