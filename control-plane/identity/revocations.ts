/**
 * Device keys that NATS must refuse although their credentials have not ended yet. Kept apart from
 * the agents, so that forgetting a revoked agent does not let it in again; an entry goes when the
 * last credentials that were ever issued for its key have ended, which bounds the list.
 */
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../store/schema.ts';
import type { Revocations } from './nats-jwts.ts';

const PREFIX = 'revocation:';
/** Clocks of replicas may differ by this much. */
const SKEW_MS = 60_000;

const entry = z.object({ v: z.literal(1), at: z.number(), until: z.number() });

/** `until`: when the last credentials of this key end. */
export async function addRevocation(
  db: Kysely<Schema>,
  publicKey: string,
  at: number,
  until: number,
): Promise<void> {
  const value = JSON.stringify({ v: 1, at, until });
  await db
    .insertInto('settings')
    .values({ name: `${PREFIX}${publicKey}`, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
}

export async function isRevoked(db: Kysely<Schema>, publicKey: string): Promise<boolean> {
  const row = await db
    .selectFrom('settings')
    .select('name')
    .where('name', '=', `${PREFIX}${publicKey}`)
    .executeTakeFirst();
  return row !== undefined;
}

/** What the account's JWT must list now; entries that are over are removed. */
export async function currentRevocations(db: Kysely<Schema>, now: number): Promise<Revocations> {
  const rows = await db
    .selectFrom('settings')
    .selectAll()
    .where('name', 'like', `${PREFIX}%`)
    .execute();
  const revocations: Record<string, number> = {};
  for (const row of rows) {
    const { at, until } = entry.parse(JSON.parse(row.value));
    if (until + SKEW_MS < now) {
      await db.deleteFrom('settings').where('name', '=', row.name).execute();
    } else {
      revocations[row.name.slice(PREFIX.length)] = Math.ceil((at + SKEW_MS) / 1000);
    }
  }
  return revocations;
}
