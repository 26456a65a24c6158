/** How lists of runs are read: by an index whatever is asked for, in both databases. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { Kysely, PostgresDialect, sql, SqliteDialect } from 'kysely';
import { Pool, types } from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { migrate, openStore, postgres } from '@runnel/control-plane/store/open-store.ts';
import { findRuns, pageRuns, type RunPage } from '@runnel/control-plane/store/runs.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import { Postgres, POSTGRES_PROGRAMS } from '../../support/postgres.ts';
import { describeWith } from '../../support/programs.ts';

const RUNS = 20_000;
const BIGINT = 20;

const idOf = (index: number): string => `${((index * 7919) % RUNS).toString(36)}-${index}`;

/** 200 agents with 20 jobs; one run of 500 failed, one of 1,000 was by hand. */
const rowOf = (index: number) => ({
  ...{ agent: `agent-${index % 200}`, run: idOf(index), job: `job-${index % 20}`, version: 1 },
  ...{ key: 'k', partition: `day-${index % 30}`, partition_start: 1, partition_end: 2 },
  trigger: index % 1000 === 3 ? 'manual' : 'schedule',
  state: index % 500 === 3 ? 'failed' : 'success',
  ...{ at: index, queued_at: index, started_at: null, ended_at: null, tries: 1 },
  ...{ parameters: '{}', origins: '{}', tasks: '[]', error: 'null', affected: '{}' },
  received_at: index,
});

/** Newest first. */
const ROWS = Array.from({ length: RUNS }, (_, index) => ({
  id: index + 1,
  ...rowOf(index),
})).toReversed();

async function fill(db: Kysely<Schema>): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    for (let from = 0; from < RUNS; from += 500) {
      const rows = Array.from({ length: 500 }, (_, index) => rowOf(from + index));
      await transaction.insertInto('runs').values(rows).execute();
    }
  });
}

const PAGES: readonly Omit<RunPage, 'limit'>[] = [
  { agent: 'agent-3' },
  { job: 'job-3' },
  { state: 'failed' },
  { partition: 'day-3' },
  { trigger: 'manual' },
  { agent: 'none', state: 'success' },
  { agent: 'none', trigger: 'schedule' },
  { agent: 'none', job: 'job-3', state: 'success' },
  { agent: 'agent-3', job: 'job-3', state: 'failed' },
  { agent: 'agent-3', partition: 'day-3', state: 'success' },
  { job: 'none', trigger: 'schedule' },
  { job: 'job-3', state: 'failed' },
  { partition: 'none', state: 'success', trigger: 'schedule' },
  { state: 'success', trigger: 'dataset' },
  { state: 'failed', trigger: 'schedule' },
  { job: 'job-3', state: 'success', before: 5000 },
];

/** A store, and the statement of the last query on it with its values written out. */
interface Watched {
  readonly db: Kysely<Schema>;
  readonly last: () => string;
}

function watched(dialect: SqliteDialect | PostgresDialect): Watched {
  let text = '';
  const db = new Kysely<Schema>({
    dialect,
    log: ({ query }) => {
      let at = 0;
      text = query.sql.replaceAll(/\?|\$\d+/g, () => {
        const value = query.parameters[at++];
        return typeof value === 'number' ? String(value) : `'${String(value)}'`;
      });
    },
  });
  return { db, last: () => text };
}

async function planOf(watch: Watched, explain: string): Promise<string> {
  const { rows } = await sql<object>`${sql.raw(`${explain} ${watch.last()}`)}`.execute(watch.db);
  return rows.map((row) => Object.values(row).join(' ')).join('\n');
}

/** What must hold of both: what a page holds and its order, by hand over all rows. */
function expected({ before, ...filters }: Omit<RunPage, 'limit'>): string[] {
  return ROWS.filter((row) => before === undefined || row.id < before)
    .filter((row) => Object.entries(filters).every(([key, value]) => row[key as 'job'] === value))
    .slice(0, 50)
    .map(({ run }) => run);
}

function holds(watch: () => Watched, explain: string, scan: RegExp): void {
  it.each(PAGES)('%j is read by an index, newest first', async (page) => {
    const items = await pageRuns(watch().db, { ...page, limit: 50 });
    expect(items.map(({ run }) => run)).toEqual(expected(page));
    expect(await planOf(watch(), explain)).not.toMatch(scan);
  });

  it('a run is found by its id and by a beginning of it with an index', async () => {
    const run = idOf(777);
    for (const asked of [run, run.slice(0, -1)]) {
      const found = await findRuns(watch().db, asked, 5);
      expect(found.map((each) => each.run)).toContain(run);
      expect(await planOf(watch(), explain)).not.toMatch(scan);
    }
    expect(await findRuns(watch().db, run.toUpperCase(), 5)).toEqual([]);
    expect(await findRuns(watch().db, '~', 5)).toEqual([]);
  });
}

describe('lists of runs in SQLite', () => {
  let watch: Watched;
  beforeAll(async () => {
    const dir = mkdtempSync(join(tmpdir(), 'runnel-run-queries-'));
    const path = join(dir, 'store.db');
    const store = await openStore(path);
    await fill(store.db);
    await store.close();
    watch = watched(new SqliteDialect({ database: new Database(path) }));
    return async () => {
      await watch.db.destroy();
      rmSync(dir, { recursive: true, force: true });
    };
  });
  holds(() => watch, 'explain query plan', /SCAN|B-TREE/);

  it('are not looked up through what most runs have in common', async () => {
    await pageRuns(watch.db, { agent: 'none', state: 'success', limit: 50 });
    expect(await planOf(watch, 'explain query plan')).toContain('runs_agent_state');
    await pageRuns(watch.db, { job: 'none', trigger: 'schedule', limit: 50 });
    expect(await planOf(watch, 'explain query plan')).toContain('INDEX runs_job ');
    await pageRuns(watch.db, { state: 'success', trigger: 'dataset', limit: 50 });
    expect(await planOf(watch, 'explain query plan')).toContain('runs_trigger');
  });
});

describeWith(POSTGRES_PROGRAMS, 'lists of runs in PostgreSQL', () => {
  let watch: Watched;
  beforeAll(async () => {
    const server = await Postgres.start();
    const parsers = { getTypeParser: (oid: number) => (oid === BIGINT ? Number : parserOf(oid)) };
    const pool = new Pool({ connectionString: server.url(), types: parsers });
    // The server may end before a connection that the pool has let go is closed.
    pool.on('connect', (client) => client.on('error', () => undefined));
    pool.on('error', () => undefined);
    watch = watched(new PostgresDialect({ pool }));
    await migrate(watch.db, postgres);
    await fill(watch.db);
    await sql`analyze runs`.execute(watch.db);
    return async () => {
      await watch.db.destroy();
      await server.stop();
    };
  }, 60_000);
  holds(() => watch, 'explain', /Seq Scan/);
});

const parserOf = (oid: number): unknown => types.getTypeParser(oid);
