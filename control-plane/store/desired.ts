/**
 * What each agent is to apply: one row an agent, whose revision only goes up, and the contents that
 * the rows share. Ten thousand agents with the same jobs are ten thousand small rows and one text.
 */
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export interface DesiredHead {
  readonly agent: string;
  readonly revision: number;
  readonly contentHash: string;
  readonly issuedAt: number;
}

export interface DesiredRecord extends DesiredHead {
  readonly content: string;
}

/** Every agent's, without the contents. */
export async function desiredHeads(db: Kysely<Schema>): Promise<DesiredHead[]> {
  const rows = await db.selectFrom('desired').selectAll().execute();
  return rows.map((row) => ({
    agent: row.agent,
    revision: row.revision,
    contentHash: row.content_hash,
    issuedAt: row.issued_at,
  }));
}

export async function desiredOf(
  db: Kysely<Schema>,
  agent: string,
): Promise<DesiredRecord | undefined> {
  const row = await db
    .selectFrom('desired')
    .innerJoin('desired_contents', 'desired_contents.hash', 'desired.content_hash')
    .selectAll('desired')
    .select('desired_contents.content')
    .where('agent', '=', agent)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    agent: row.agent,
    revision: row.revision,
    contentHash: row.content_hash,
    issuedAt: row.issued_at,
    content: row.content,
  };
}

/**
 * One transaction, contents first; a row with a revision that is not higher than the stored one
 * changes nothing.
 */
export async function putDesired(
  db: Kysely<Schema>,
  heads: readonly DesiredHead[],
  contents: ReadonlyMap<string, string>,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    for (const [hash, content] of contents) {
      await transaction
        .insertInto('desired_contents')
        .values({ hash, content })
        .onConflict((conflict) => conflict.column('hash').doNothing())
        .execute();
    }
    for (const head of heads) {
      const values = {
        revision: head.revision,
        content_hash: head.contentHash,
        issued_at: head.issuedAt,
      };
      await transaction
        .insertInto('desired')
        .values({ agent: head.agent, ...values })
        .onConflict((conflict) =>
          conflict
            .column('agent')
            .doUpdateSet(values)
            .where('desired.revision', '<', head.revision),
        )
        .execute();
    }
  });
}

/** Removes contents that no agent has any more. */
export async function sweepDesiredContents(db: Kysely<Schema>): Promise<void> {
  await db
    .deleteFrom('desired_contents')
    .where('hash', 'not in', (e) => e.selectFrom('desired').select('content_hash'))
    .execute();
}
