/**
 * The signed desired state of each agent. One row an agent; its revision only goes up.
 */
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export interface DesiredHead {
  readonly agent: string;
  readonly revision: number;
  readonly contentHash: string;
}

export interface DesiredRecord extends DesiredHead {
  /** JSON of `signedDesired`. */
  readonly signed: string;
  readonly updatedAt: number;
}

/** What is needed to judge changes: small, for every agent. */
export async function desiredHeads(db: Kysely<Schema>): Promise<DesiredHead[]> {
  const rows = await db
    .selectFrom('desired')
    .select(['agent', 'revision', 'content_hash'])
    .execute();
  return rows.map((row) => ({
    agent: row.agent,
    revision: row.revision,
    contentHash: row.content_hash,
  }));
}

export async function desiredOf(
  db: Kysely<Schema>,
  agent: string,
): Promise<DesiredRecord | undefined> {
  const row = await db
    .selectFrom('desired')
    .selectAll()
    .where('agent', '=', agent)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    agent: row.agent,
    revision: row.revision,
    contentHash: row.content_hash,
    signed: row.signed,
    updatedAt: row.updated_at,
  };
}

/** One transaction; a row with a revision that is not higher than the stored one is refused. */
export async function putDesired(
  db: Kysely<Schema>,
  records: readonly DesiredRecord[],
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    for (const record of records) {
      const values = {
        revision: record.revision,
        content_hash: record.contentHash,
        signed: record.signed,
        updated_at: record.updatedAt,
      };
      await transaction
        .insertInto('desired')
        .values({ agent: record.agent, ...values })
        .onConflict((conflict) =>
          conflict
            .column('agent')
            .doUpdateSet(values)
            .where('desired.revision', '<', record.revision),
        )
        .execute();
    }
  });
}
