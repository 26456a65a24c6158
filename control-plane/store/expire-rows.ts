/**
 * Deletes the oldest rows of a table, one small batch a call, so that the (synchronous) database is
 * never held for long. Oldest means lowest id: insertion order, which is what cursors are made of.
 * A reader whose cursor lies in the deleted range goes on with the oldest row that is left.
 *
 * A window's rows go together as far as `latest` can tell: with a row go the lower revisions of its
 * window that were stored after it (a restored device sends such), so that what was superseded or
 * retracted never comes back to life. Marks are never touched: a block that is sent again stays a
 * duplicate however long its rows are gone.
 *
 * The file does not shrink; SQLite fills the pages that became free.
 */
import { type Kysely, type Transaction, sql } from 'kysely';
import { WINDOW } from './results.ts';
import type { Schema } from './schema.ts';

/** Rows stored before `beforeMs` go, and the oldest ones beyond `rowsMax`, both counted by id. */
export interface KeepBounds {
  readonly beforeMs: number;
  readonly rowsMax: number;
}

export interface ExpiredRow {
  readonly id: number;
  readonly reason: 'age' | 'rows' | 'superseded';
}

export interface ExpiredResult extends ExpiredRow {
  readonly kind: string;
  readonly dataset: string;
}

/** At most `limit` rows by age or number, and what they superseded; empty: nothing is due. */
export async function expireResults(
  db: Kysely<Schema>,
  bounds: KeepBounds,
  limit: number,
): Promise<ExpiredResult[]> {
  return await db.transaction().execute(async (transaction) => {
    const head = await transaction
      .selectFrom('results')
      .select(['id', 'kind', 'dataset', 'received_at as at'])
      .orderBy('id')
      .limit(limit)
      .execute();
    const due = dueRows(head, bounds, await newestId(transaction, 'results'));
    const last = due.at(-1);
    if (last === undefined) return [];
    const superseded = await supersededBy(transaction, last.id);
    await transaction.deleteFrom('results').where('id', '<=', last.id).execute();
    for (const { id } of superseded) {
      await transaction.deleteFrom('results').where('id', '=', id).execute();
    }
    return [...due, ...superseded];
  });
}

/** At most `limit` rows; empty: nothing is due. */
export async function expireHistory(
  db: Kysely<Schema>,
  table: 'events' | 'audit' | 'notifications',
  bounds: KeepBounds,
  limit: number,
): Promise<ExpiredRow[]> {
  return await db.transaction().execute(async (transaction) => {
    const head = await transaction
      .selectFrom(table)
      .select(['id', 'at'])
      .orderBy('id')
      .limit(limit)
      .execute();
    const due = dueRows(head, bounds, await newestId(transaction, table));
    const last = due.at(-1);
    if (last === undefined) return [];
    await transaction.deleteFrom(table).where('id', '<=', last.id).execute();
    return due;
  });
}

/**
 * Alerts that have ended, at most `limit`; empty: nothing is due. Those that are open stay however
 * old they are, and the walk goes on behind them.
 */
export async function expireAlerts(
  db: Kysely<Schema>,
  { beforeMs, rowsMax }: KeepBounds,
  limit: number,
): Promise<ExpiredRow[]> {
  return await db.transaction().execute(async (transaction) => {
    const newest = await newestId(transaction, 'alerts');
    const due = await transaction
      .selectFrom('alerts')
      .select(['id', 'ended_at as at'])
      .where('ended_at', 'is not', null)
      .where((e) => e.or([e('ended_at', '<', beforeMs), e('id', '<=', newest - rowsMax)]))
      .orderBy('id')
      .limit(limit)
      .execute();
    const ids = due.map(({ id }) => id);
    if (ids.length === 0) return [];
    await transaction.deleteFrom('alerts').where('id', 'in', ids).execute();
    return due.map(({ id, at }) => ({ id, reason: (at ?? 0) < beforeMs ? 'age' : 'rows' }));
  });
}

export interface KeepRuns extends KeepBounds {
  /** Instances of tasks over all runs; beyond it the oldest runs go too. */
  readonly tasksMax: number;
}

/**
 * Runs with their tasks, about `limit` rows of both; then tasks whose run was never heard of.
 * Empty: nothing is due.
 */
export async function expireRuns(
  db: Kysely<Schema>,
  bounds: KeepRuns,
  limit: number,
): Promise<ExpiredRow[]> {
  return await db.transaction().execute(async (transaction) => {
    const head = await transaction
      .selectFrom('runs')
      .select(['id', 'agent', 'run', 'received_at as at'])
      .orderBy('id')
      .limit(limit)
      .execute();
    const newest = await newestId(transaction, 'runs');
    let tasksOver = (await tasksKept(transaction)) - bounds.tasksMax;
    const gone: ExpiredRow[] = [];
    let rows = 0;
    for (const { id, agent, run, at } of head) {
      const old = at < bounds.beforeMs;
      if (rows >= limit || !(old || id <= newest - bounds.rowsMax || tasksOver > 0)) break;
      const tasks = await transaction
        .deleteFrom('run_tasks')
        .where('run', '=', run)
        .where('agent', '=', agent)
        .executeTakeFirst();
      await transaction.deleteFrom('runs').where('id', '=', id).execute();
      rows += 1 + Number(tasks.numDeletedRows);
      tasksOver -= Number(tasks.numDeletedRows);
      gone.push({ id, reason: old ? 'age' : 'rows' });
    }
    if (gone.length > 0) return gone;
    return await expireOrphans(transaction, bounds, limit, tasksOver > 0);
  });
}

/** Tasks whose run's own report was lost, at the head. */
async function expireOrphans(
  transaction: Transaction<Schema>,
  { beforeMs }: KeepRuns,
  limit: number,
  tooMany: boolean,
): Promise<ExpiredRow[]> {
  const head = await transaction
    .selectFrom('run_tasks as task')
    .leftJoin('runs', (join) =>
      join.onRef('runs.run', '=', 'task.run').onRef('runs.agent', '=', 'task.agent'),
    )
    .select(['task.id', 'task.received_at as at', 'runs.id as run'])
    .orderBy('task.id')
    .limit(limit)
    .execute();
  const due = head.filter(({ run, at }) => run === null && (tooMany || at < beforeMs));
  for (const { id } of due) {
    await transaction.deleteFrom('run_tasks').where('id', '=', id).execute();
  }
  return due.map(({ id, at }) => ({ id, reason: at < beforeMs ? 'age' : 'rows' }));
}

/** Counted by id, like every other bound: instances that were replaced count until then. */
async function tasksKept(transaction: Transaction<Schema>): Promise<number> {
  const row = await transaction
    .selectFrom('run_tasks')
    .select((e) => [e.fn.min('id').as('oldest'), e.fn.max('id').as('newest')])
    .executeTakeFirst();
  if (row === undefined || row.newest === null) return 0;
  return row.newest - row.oldest + 1;
}

/** The rows at the head that are due, up to the first that is not. */
function dueRows<R extends { readonly id: number; readonly at: number }>(
  head: readonly R[],
  { beforeMs, rowsMax }: KeepBounds,
  newest: number,
): (R & { readonly reason: 'age' | 'rows' })[] {
  const due: (R & { readonly reason: 'age' | 'rows' })[] = [];
  for (const row of head) {
    const old = row.at < beforeMs;
    if (!old && row.id > newest - rowsMax) break;
    due.push({ ...row, reason: old ? 'age' : 'rows' });
  }
  return due;
}

/**
 * Intervals that are over: by age, and the oldest beyond the number. One that lasts stays, however
 * long ago it began. Empty: nothing is due.
 */
export async function expireSlaIntervals(
  db: Kysely<Schema>,
  bounds: KeepBounds,
  limit: number,
): Promise<ExpiredRow[]> {
  return await db.transaction().execute(async (transaction) => {
    const beyond = (await newestId(transaction, 'sla_intervals')) - bounds.rowsMax;
    const due = await transaction
      .selectFrom('sla_intervals')
      .select(['id', 'to_at'])
      .where('to_at', 'is not', null)
      .where((e) => e.or([e('to_at', '<', bounds.beforeMs), e('id', '<=', beyond)]))
      .orderBy('id')
      .limit(limit)
      .execute();
    const ids = due.map(({ id }) => id);
    if (ids.length === 0) return [];
    await transaction.deleteFrom('sla_intervals').where('id', 'in', ids).execute();
    return due.map(({ id, to_at: to }) => ({
      id,
      reason: to !== null && to < bounds.beforeMs ? 'age' : 'rows',
    }));
  });
}

async function newestId(
  db: Kysely<Schema>,
  table: 'results' | 'events' | 'audit' | 'runs' | 'sla_intervals' | 'alerts' | 'notifications',
): Promise<number> {
  const row = await db
    .selectFrom(table)
    .select((e) => e.fn.max('id').as('id'))
    .executeTakeFirst();
  return row?.id ?? 0;
}

/** Rows after `last` whose window has a higher revision at or before it. */
async function supersededBy(
  transaction: Transaction<Schema>,
  last: number,
): Promise<ExpiredResult[]> {
  const rows = await transaction
    .selectFrom('results as gone')
    .innerJoin('results as left', (join) =>
      join.on((e) =>
        e.and([
          ...WINDOW.map((column) => e(`left.${column}`, '=', e.ref(`gone.${column}`))),
          e('left.revision', '<', e.ref('gone.revision')),
        ]),
      ),
    )
    .select(['left.id', 'left.kind', 'left.dataset'])
    .distinct()
    .where('gone.id', '<=', last)
    // `+ 0` keeps the database from walking every later id instead of the index over windows.
    .where(sql<number>`"left"."id" + 0`, '>', last)
    .execute();
  return rows.map((row) => ({ ...row, reason: 'superseded' }));
}
