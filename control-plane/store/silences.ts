/** Silences: selectors over the labels of alerts, from and until. */
import type { Kysely } from 'kysely';
import type { SilenceItem } from '../http/alert-messages.ts';
import type { Schema } from './schema.ts';

/** Those that have not ended at `now`, the one that ends first at the head. */
export async function silencesAt(db: Kysely<Schema>, now: number): Promise<SilenceItem[]> {
  const rows = await db
    .selectFrom('silences')
    .selectAll()
    .where('until_at', '>', now)
    .orderBy('until_at')
    .orderBy('id')
    .execute();
  return rows.map(({ id, selector, from_at, until_at, comment, by }) => {
    return { id, selector, from: from_at, until: until_at, comment, by };
  });
}

export async function insertSilence(db: Kysely<Schema>, silence: SilenceItem): Promise<void> {
  const { id, selector, from, until, comment, by } = silence;
  await db
    .insertInto('silences')
    .values({ id, selector, from_at: from, until_at: until, comment, by })
    .execute();
}

/** False when there is none. */
export async function deleteSilence(db: Kysely<Schema>, id: string): Promise<boolean> {
  const deleted = await db.deleteFrom('silences').where('id', '=', id).executeTakeFirst();
  return deleted.numDeletedRows > 0n;
}

/** Those that ended before `beforeMs`. */
export async function deleteEndedSilences(db: Kysely<Schema>, beforeMs: number): Promise<void> {
  await db.deleteFrom('silences').where('until_at', '<', beforeMs).execute();
}
