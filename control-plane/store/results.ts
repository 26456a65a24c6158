/**
 * Reads of results and alerts in insertion order, by cursor.
 *
 * A page walks forward from `after` in steps of `SCAN_ROWS` ids, so that a filter that matches
 * little never holds the (synchronous) database for long. `next` is the last id looked at; an
 * empty page means that the walk reached the end, never that it gave up.
 *
 * `latest` keeps of each window (agent, job, step, key, windowStart, windowEnd) the row with the
 * highest revision (the later one on a tie), and nothing at all when that row is a retraction.
 * Rows without a window have no revisions and all stay, those whose value is null too. Judged
 * against the whole dataset, not the page, so that a walk over a store at rest gives each window
 * exactly once. A walk that goes on while results come in sees a window again when a higher
 * revision arrives, and never hears of retractions: who follows a dataset and needs those reads
 * without `latest`.
 */
import { type ExpressionBuilder, type Kysely, type Selectable, sql } from 'kysely';
import type { ResultsTable, Schema } from './schema.ts';

/** Ids per step of a walk: about 10 ms of database time at most. */
const SCAN_ROWS = 5000;

export interface ResultRecord {
  readonly id: number;
  readonly agent: string;
  readonly epoch: string;
  readonly lane: string;
  readonly seq: number;
  readonly job: string;
  readonly version: number;
  readonly step: string;
  readonly dataset: string;
  readonly key: unknown;
  readonly windowStart: number | null;
  readonly windowEnd: number | null;
  readonly time: number;
  readonly revision: number;
  readonly value: unknown;
  readonly receivedAt: number;
}

export interface ResultPage {
  readonly kind: 'result' | 'alert';
  readonly dataset?: string;
  readonly agent?: string;
  readonly job?: string;
  /** Only ids above this; 0 is the beginning. */
  readonly after: number;
  readonly limit: number;
  /** Only rows whose event time is at or after this. */
  readonly since?: number;
  readonly latest?: boolean;
  /**
   * The newest `limit` rows, still in insertion order, instead of a walk from `after`: where a
   * chart begins. `next` is where to go on from.
   */
  readonly newest?: boolean;
}

export interface ResultSlice {
  readonly items: readonly ResultRecord[];
  readonly next: number;
}

/**
 * `pause` is called between the steps of a long walk, to let other work run.
 *
 * A cursor may pass an id only when no smaller one can still appear. SQLite has one writer, so ids
 * appear in order. PostgreSQL hands ids out before the commit: of two blocks that are written at
 * once the one with the higher ids may appear first, and a cursor that has passed it would miss the
 * other for good. Before several writers share a PostgreSQL store, `newestResultId` must stop below
 * the ids of transactions that are still open (`pg_snapshot_xmin` over a stored transaction id), or
 * the writers must insert under one advisory lock.
 */
export async function pageResults(
  db: Kysely<Schema>,
  page: ResultPage,
  pause: () => Promise<void>,
): Promise<ResultSlice> {
  const end = await newestResultId(db);
  if (page.newest === true) {
    const rows = await matching(db, page, 0, end, page.limit);
    return { items: rows.toReversed(), next: end };
  }
  let at = Math.max(page.after, await firstIdSince(db, page));
  const items: ResultRecord[] = [];
  while (at < end && items.length < page.limit) {
    if (items.length > 0 || at > page.after) await pause();
    const to = Math.min(end, await stepEnd(db, page, at));
    const rows = await matching(db, page, at, to, page.limit - items.length);
    items.push(...rows);
    // A full step may hold more rows behind the last one that was taken.
    at = items.length >= page.limit ? items[items.length - 1]!.id : to;
  }
  // A cursor ahead of the store (restored from a backup) comes back to what there is.
  return { items, next: Math.min(at, Math.max(end, 0)) };
}

/**
 * Alerts after an id, for whoever follows all of them: one step of a walk over ids, in which
 * `next` is where the step after it begins; undefined when there is nothing beyond.
 */
export async function alertsAfter(
  db: Kysely<Schema>,
  after: number,
): Promise<{ readonly items: readonly ResultRecord[]; readonly next: number } | undefined> {
  const end = await newestResultId(db);
  if (after >= end) return undefined;
  const next = Math.min(end, Math.max(after, (await oldestResultId(db)) - 1) + SCAN_ROWS);
  const rows = await db
    .selectFrom('results')
    .selectAll()
    .where('id', '>', after)
    .where('id', '<=', next)
    // The walk goes by ids; an index over kinds would be read from its beginning each time.
    .where((e) => e(e.fn.coalesce('kind', e.val('')), '=', 'alert'))
    .orderBy('id')
    .execute();
  return { items: rows.map(fromRow), next };
}

/** The newest id of any row; 0 when there is none. */
export async function newestResultId(db: Kysely<Schema>): Promise<number> {
  const row = await db
    .selectFrom('results')
    .select((e) => e.fn.max('id').as('id'))
    .executeTakeFirst();
  return row?.id ?? 0;
}

/** The oldest id that is left; 0 when there is none. */
export async function oldestResultId(db: Kysely<Schema>): Promise<number> {
  const row = await db
    .selectFrom('results')
    .select((e) => e.fn.min('id').as('id'))
    .executeTakeFirst();
  return row?.id ?? 0;
}

/** The id before the first row at or after `since`, from an index; 0 without `since`. */
async function firstIdSince(db: Kysely<Schema>, page: ResultPage): Promise<number> {
  if (page.since === undefined || page.dataset === undefined) return 0;
  const row = await db
    .selectFrom('results')
    // A bare min(id) would be answered by walking the ids from the first one.
    .select(sql<number | null>`min(id + 0)`.as('id'))
    .where('kind', '=', page.kind)
    .where('dataset', '=', page.dataset)
    .where('time', '>=', page.since)
    .executeTakeFirst();
  return row?.id === undefined || row.id === null ? Number.MAX_SAFE_INTEGER : row.id - 1;
}

/** Where a step of `SCAN_ROWS` rows of this dataset or agent ends, by index alone. */
async function stepEnd(db: Kysely<Schema>, page: ResultPage, after: number): Promise<number> {
  let query = db
    .selectFrom('results')
    .select('id')
    .where('kind', '=', page.kind)
    .where('id', '>', after)
    .orderBy('id')
    .offset(SCAN_ROWS - 1)
    .limit(1);
  if (page.agent !== undefined) query = query.where('agent', '=', page.agent);
  if (page.dataset !== undefined) query = query.where('dataset', '=', page.dataset);
  const row = await query.executeTakeFirst();
  return row?.id ?? Number.MAX_SAFE_INTEGER;
}

async function matching(
  db: Kysely<Schema>,
  page: ResultPage,
  after: number,
  to: number,
  limit: number,
): Promise<ResultRecord[]> {
  let query = db
    .selectFrom('results as r')
    .selectAll('r')
    .where('r.kind', '=', page.kind)
    .where('r.id', '>', after)
    .where('r.id', '<=', to)
    .orderBy('r.id', page.newest === true ? 'desc' : 'asc')
    .limit(limit);
  if (page.agent !== undefined) query = query.where('r.agent', '=', page.agent);
  if (page.dataset !== undefined) query = query.where('r.dataset', '=', page.dataset);
  if (page.job !== undefined) query = query.where('r.job', '=', page.job);
  if (page.since !== undefined) query = query.where('r.time', '>=', page.since);
  if (page.latest === true) query = query.where((e) => isLatest(e));
  return (await query.execute()).map(fromRow);
}

function fromRow(row: Selectable<ResultsTable>): ResultRecord {
  return {
    id: row.id,
    agent: row.agent,
    epoch: row.epoch,
    lane: row.lane,
    seq: row.seq,
    job: row.job,
    version: row.version,
    step: row.step,
    dataset: row.dataset,
    key: JSON.parse(row.key) as unknown,
    windowStart: row.window_start,
    windowEnd: row.window_end,
    time: row.time,
    revision: row.revision,
    value: JSON.parse(row.value) as unknown,
    receivedAt: row.received_at,
  };
}

/** Rows that agree in these are of one window; rows without a window agree with none. */
export const WINDOW = [
  'dataset',
  'agent',
  'step',
  'key',
  'window_start',
  'window_end',
  'job',
  'kind',
] as const;

type WithR = Schema & { r: ResultsTable };

function isLatest(e: ExpressionBuilder<WithR, 'r'>) {
  const better = e
    .selectFrom('results as b')
    .select(sql`1`.as('one'))
    .where((b) => b.and(WINDOW.map((column) => b(`b.${column}`, '=', b.ref(`r.${column}`)))))
    .where((b) =>
      b.or([
        b('b.revision', '>', b.ref('r.revision')),
        b.and([b('b.revision', '=', b.ref('r.revision')), b('b.id', '>', b.ref('r.id'))]),
      ]),
    );
  const retracted = e.and([e('r.value', '=', 'null'), e('r.window_end', 'is not', null)]);
  return e.and([e.not(retracted), e.not(e.exists(better))]);
}
