/**
 * What happened to agents, jobs and connections: transitions, in insertion order.
 */
import type { Insertable, Kysely } from 'kysely';
import { limits } from '@runnel/shared/limits.ts';
import type { EventsTable, Schema } from './schema.ts';
import { storableText } from './storable-text.ts';

export interface EventInput {
  readonly at: number;
  readonly agent: string | null;
  readonly job: string | null;
  readonly type: string;
  readonly severity: 'ok' | 'info' | 'warning' | 'error';
  readonly message: string;
  readonly data?: unknown;
}

export interface EventRecord extends Required<EventInput> {
  readonly id: number;
}

export interface EventPage {
  readonly agent?: string;
  readonly job?: string;
  readonly type?: string;
  /** Only ids above this, oldest first; without it the newest, newest first. */
  readonly after?: number;
  readonly limit: number;
}

/** As the table has it. */
export function storableEvent(event: EventInput): Insertable<EventsTable> {
  const message = storableText(event.message, limits.eventMessageCharsMax);
  return { ...event, message, data: JSON.stringify(event.data ?? null) };
}

export async function appendEvent(db: Kysely<Schema>, event: EventInput): Promise<void> {
  await db.insertInto('events').values(storableEvent(event)).execute();
}

export async function pageEvents(db: Kysely<Schema>, page: EventPage): Promise<EventRecord[]> {
  let query = db.selectFrom('events').selectAll().limit(page.limit);
  if (page.agent !== undefined) query = query.where('agent', '=', page.agent);
  if (page.job !== undefined) query = query.where('job', '=', page.job);
  if (page.type !== undefined) query = query.where('type', '=', page.type);
  query =
    page.after === undefined
      ? query.orderBy('id', 'desc')
      : query.where('id', '>', page.after).orderBy('id');
  const rows = await query.execute();
  return rows.map((row) => ({
    ...row,
    severity: row.severity as EventRecord['severity'],
    data: JSON.parse(row.data) as unknown,
  }));
}
