/**
 * Alerts as the store has them. Newest first is by the order in which they began here, the one
 * order that no wrong clock of a device can bend.
 */
import type { Insertable, Kysely, Selectable, Transaction } from 'kysely';
import type { AlertItem, AlertSource, AlertState } from '../http/alert-messages.ts';
import type { AlertsTable, Schema } from './schema.ts';

export interface AlertRecord extends Omit<AlertItem, 'id' | 'agentName'> {
  /** What people and receivers know it by. */
  readonly alert: string;
  readonly fingerprint: string;
}

export interface AlertPage {
  readonly state?: AlertState;
  /** Any but the resolved ones. */
  readonly open?: boolean;
  readonly severity?: AlertRecord['severity'];
  readonly source?: AlertSource;
  readonly job?: string;
  readonly agent?: string;
  /** Only those that began before this one, by the store's order. */
  readonly before?: number;
  readonly limit: number;
}

/** Rows in one statement: 18 values each stay under every database's bound on parameters. */
const ROWS_PER_INSERT = 500;
const CHANGING = [
  'severity',
  'state',
  'title',
  'message',
  'labels',
  'link',
  'last_at',
  'ended_at',
  'count',
  'acknowledged_by',
  'silenced_by',
] as const;

/** New ones are added, those that are there replaced. Of a fingerprint one at most may be open. */
export async function putAlerts(
  transaction: Transaction<Schema>,
  records: readonly AlertRecord[],
): Promise<void> {
  for (let start = 0; start < records.length; start += ROWS_PER_INSERT) {
    await transaction
      .insertInto('alerts')
      .values(records.slice(start, start + ROWS_PER_INSERT).map(toRow))
      .onConflict((conflict) =>
        conflict
          .column('alert')
          .doUpdateSet((e) =>
            Object.fromEntries(CHANGING.map((column) => [column, e.ref(`excluded.${column}`)])),
          ),
      )
      .execute();
  }
}

/** Those that are open, or ended at or after `endedSince`; in the order of the store. */
export async function liveAlerts(db: Kysely<Schema>, endedSince: number): Promise<AlertRecord[]> {
  const rows = await db
    .selectFrom('alerts')
    .selectAll()
    .where((e) => e.or([e('ended_at', 'is', null), e('ended_at', '>=', endedSince)]))
    .orderBy('id')
    .execute();
  return rows.map(fromRow);
}

export async function alertById(
  db: Kysely<Schema>,
  alert: string,
): Promise<AlertRecord | undefined> {
  const row = await db
    .selectFrom('alerts')
    .selectAll()
    .where('alert', '=', alert)
    .executeTakeFirst();
  return row === undefined ? undefined : fromRow(row);
}

/** Those of these ids that are there, in no order. */
export async function alertsByIds(
  db: Kysely<Schema>,
  alerts: readonly string[],
): Promise<AlertRecord[]> {
  if (alerts.length === 0) return [];
  const rows = await db.selectFrom('alerts').selectAll().where('alert', 'in', alerts).execute();
  return rows.map(fromRow);
}

/** Newest first; `next` is the cursor of the page after, null at the end. */
export async function pageAlerts(
  db: Kysely<Schema>,
  page: AlertPage,
): Promise<{ readonly items: readonly AlertRecord[]; readonly next: number | null }> {
  let query = db
    .selectFrom('alerts')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(page.limit + 1);
  if (page.before !== undefined) query = query.where('id', '<', page.before);
  if (page.open === true) query = query.where('ended_at', 'is', null);
  for (const column of ['state', 'severity', 'source', 'job', 'agent'] as const) {
    const value = page[column];
    if (value !== undefined) query = query.where(column, '=', value);
  }
  const rows = await query.execute();
  const items = rows.slice(0, page.limit);
  return { items: items.map(fromRow), next: rows.length > page.limit ? items.at(-1)!.id : null };
}

function toRow(record: AlertRecord): Insertable<AlertsTable> {
  return {
    alert: record.alert,
    fingerprint: record.fingerprint,
    source: record.source,
    severity: record.severity,
    state: record.state,
    title: record.title,
    message: record.message,
    labels: JSON.stringify(record.labels),
    agent: record.agent,
    job: record.job,
    link: record.link,
    started_at: record.startedAt,
    last_at: record.lastAt,
    ended_at: record.endedAt,
    count: record.count,
    acknowledged_by: record.acknowledgedBy,
    silenced_by: record.silencedBy,
  };
}

function fromRow(row: Selectable<AlertsTable>): AlertRecord {
  return {
    alert: row.alert,
    fingerprint: row.fingerprint,
    source: row.source as AlertSource,
    severity: row.severity as AlertRecord['severity'],
    state: row.state as AlertState,
    title: row.title,
    message: row.message,
    labels: JSON.parse(row.labels) as Record<string, string>,
    agent: row.agent,
    job: row.job,
    link: row.link,
    startedAt: row.started_at,
    lastAt: row.last_at,
    endedAt: row.ended_at,
    count: row.count,
    acknowledgedBy: row.acknowledged_by,
    silencedBy: row.silenced_by,
  };
}
