/** What receivers were told: the state of each group, and the log of notifications. */
import type { Kysely } from 'kysely';
import type { NotificationItem } from '../http/alert-messages.ts';
import type { Schema } from './schema.ts';

export interface StoredGroup {
  readonly receiver: string;
  readonly key: string;
  /** JSON; the notifier knows its format. */
  readonly state: string;
}

export async function allGroups(db: Kysely<Schema>): Promise<StoredGroup[]> {
  return await db.selectFrom('alert_groups').selectAll().execute();
}

export async function putGroup(db: Kysely<Schema>, group: StoredGroup): Promise<void> {
  const { state } = group;
  await db
    .insertInto('alert_groups')
    .values(group)
    .onConflict((conflict) => conflict.columns(['receiver', 'key']).doUpdateSet({ state }))
    .execute();
}

export async function deleteGroup(
  db: Kysely<Schema>,
  { receiver, key }: Pick<StoredGroup, 'receiver' | 'key'>,
): Promise<void> {
  await db
    .deleteFrom('alert_groups')
    .where('receiver', '=', receiver)
    .where('key', '=', key)
    .execute();
}

/** Adds it to the log, or says what became of its newest attempt. */
export async function putNotification(
  db: Kysely<Schema>,
  { id, alerts, outcome, attempts, error, ...more }: NotificationItem,
): Promise<void> {
  await db
    .insertInto('notifications')
    .values({
      ...more,
      notification: id,
      alerts: JSON.stringify(alerts),
      outcome,
      attempts,
      error,
    })
    .onConflict((conflict) =>
      conflict.column('notification').doUpdateSet({ outcome, attempts, error }),
    )
    .execute();
}

export interface NotificationPage {
  readonly receiver?: string;
  readonly before?: number;
  readonly limit: number;
}

/** Newest first; `next` is the cursor of the page after, null at the end. */
export async function pageNotifications(
  db: Kysely<Schema>,
  page: NotificationPage,
): Promise<{ readonly items: readonly NotificationItem[]; readonly next: number | null }> {
  let query = db
    .selectFrom('notifications')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(page.limit + 1);
  if (page.receiver !== undefined) query = query.where('receiver', '=', page.receiver);
  if (page.before !== undefined) query = query.where('id', '<', page.before);
  const rows = await query.execute();
  const shown = rows.slice(0, page.limit);
  const items = shown.map(({ notification, receiver, at, alerts, outcome, attempts, error }) => ({
    id: notification,
    receiver,
    at,
    alerts: JSON.parse(alerts) as string[],
    outcome: outcome as NotificationItem['outcome'],
    attempts,
    error,
  }));
  return { items, next: rows.length > page.limit ? shown.at(-1)!.id : null };
}
