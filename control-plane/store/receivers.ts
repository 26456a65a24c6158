/** Receivers of notifications. Their secrets are in a column of their own and in no list. */
import type { Kysely, Selectable } from 'kysely';
import type { ReceiverKind } from '../http/alert-messages.ts';
import type { AlertRecord } from './alerts.ts';
import type { ReceiversTable, Schema } from './schema.ts';

export interface ReceiverRecord {
  readonly name: string;
  readonly kind: ReceiverKind;
  readonly selector: string;
  /** The least severity that it gets. */
  readonly severity: AlertRecord['severity'];
  readonly sendResolved: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, unknown>>;
  readonly lastSentAt: number | null;
  readonly lastError: string | null;
}

/** By name. */
export async function allReceivers(db: Kysely<Schema>): Promise<ReceiverRecord[]> {
  const rows = await db.selectFrom('receivers').selectAll().orderBy('name').execute();
  return rows.map(fromRow);
}

/** Adds it or replaces it. */
export async function putReceiver(db: Kysely<Schema>, receiver: ReceiverRecord): Promise<void> {
  const row = {
    kind: receiver.kind,
    selector: receiver.selector,
    severity: receiver.severity,
    send_resolved: receiver.sendResolved ? 1 : 0,
    settings: JSON.stringify(receiver.settings),
    secrets: JSON.stringify(receiver.secrets),
    last_sent_at: receiver.lastSentAt,
    last_error: receiver.lastError,
  };
  await db
    .insertInto('receivers')
    .values({ name: receiver.name, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute();
}

/** False when there is none. What it was told of goes with it; the log stays. */
export async function deleteReceiver(db: Kysely<Schema>, name: string): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    const deleted = await transaction
      .deleteFrom('receivers')
      .where('name', '=', name)
      .executeTakeFirst();
    await transaction.deleteFrom('alert_groups').where('receiver', '=', name).execute();
    return deleted.numDeletedRows > 0n;
  });
}

/** What the newest attempt came to. */
export async function setReceiverOutcome(
  db: Kysely<Schema>,
  { name, lastSentAt, lastError }: Pick<ReceiverRecord, 'name' | 'lastSentAt' | 'lastError'>,
): Promise<void> {
  await db
    .updateTable('receivers')
    .set({ last_sent_at: lastSentAt, last_error: lastError })
    .where('name', '=', name)
    .execute();
}

function fromRow(row: Selectable<ReceiversTable>): ReceiverRecord {
  return {
    name: row.name,
    kind: row.kind as ReceiverKind,
    selector: row.selector,
    severity: row.severity as AlertRecord['severity'],
    sendResolved: row.send_resolved === 1,
    settings: JSON.parse(row.settings) as Record<string, unknown>,
    secrets: JSON.parse(row.secrets) as Record<string, unknown>,
    lastSentAt: row.last_sent_at,
    lastError: row.last_error,
  };
}
