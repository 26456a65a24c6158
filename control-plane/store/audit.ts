/**
 * Who changed what, and when: one row per change that the API made. Never secrets.
 */
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export interface AuditInput {
  readonly at: number;
  /** `token:<id>`, `session:<id>` or `system`. */
  readonly actor: string;
  /** `job.apply`, `agent.revoke`, `token.create`, … */
  readonly action: string;
  readonly subject: string;
  readonly data?: unknown;
}

export interface AuditRecord extends Required<AuditInput> {
  readonly id: number;
}

/** Gives the row's id. */
export async function appendAudit(db: Kysely<Schema>, entry: AuditInput): Promise<number> {
  const { id } = await db
    .insertInto('audit')
    .values({ ...entry, data: JSON.stringify(entry.data ?? null) })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

/** Newest first; `before` is the id of the last row of the page before. */
export async function pageAudit(
  db: Kysely<Schema>,
  page: { readonly before?: number; readonly limit: number },
): Promise<AuditRecord[]> {
  let query = db.selectFrom('audit').selectAll().orderBy('id', 'desc').limit(page.limit);
  if (page.before !== undefined) query = query.where('id', '<', page.before);
  const rows = await query.execute();
  return rows.map((row) => ({ ...row, data: JSON.parse(row.data) as unknown }));
}
