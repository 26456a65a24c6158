/**
 * Tokens as the API lists them: join tokens (role `agent`) and bearer tokens of people and
 * programs. Secrets are not here: only their hashes are stored, and those stay in `identity/`.
 */
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export interface TokenRecord {
  readonly id: string;
  readonly role: 'agent' | 'viewer' | 'operator' | 'admin';
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly uses: number | null;
  readonly usesMax: number | null;
  readonly expiresAt: number | null;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly revokedAt: number | null;
}

/** Newest first. */
export async function listTokens(db: Kysely<Schema>): Promise<TokenRecord[]> {
  const join = await db.selectFrom('join_tokens').selectAll().execute();
  const bearer = await db.selectFrom('api_tokens').selectAll().execute();
  const all: TokenRecord[] = [
    ...join.map((row) => ({
      id: row.id,
      role: 'agent' as const,
      name: '',
      labels: JSON.parse(row.labels) as Record<string, string>,
      uses: row.uses,
      usesMax: row.uses_max,
      expiresAt: row.expires_at,
      createdAt: row.created_at,
      createdBy: row.created_by,
      revokedAt: row.revoked_at,
    })),
    ...bearer.map((row) => ({
      id: row.id,
      role: row.role as TokenRecord['role'],
      name: row.name,
      labels: {},
      uses: null,
      usesMax: null,
      expiresAt: row.expires_at,
      createdAt: row.created_at,
      createdBy: row.created_by,
      revokedAt: row.revoked_at,
    })),
  ];
  return all.toSorted((a, b) => b.createdAt - a.createdAt || a.id.localeCompare(b.id));
}

/** Returns the role of the token that was revoked, undefined when there is none (left). */
export async function revokeToken(
  db: Kysely<Schema>,
  id: string,
  now: number,
): Promise<TokenRecord['role'] | undefined> {
  return await db.transaction().execute(async (transaction) => {
    const joined = await transaction
      .updateTable('join_tokens')
      .set({ revoked_at: now })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (joined.numUpdatedRows > 0n) return 'agent';
    const bearer = await transaction
      .selectFrom('api_tokens')
      .select('role')
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (bearer === undefined) return undefined;
    await transaction
      .updateTable('api_tokens')
      .set({ revoked_at: now })
      .where('id', '=', id)
      .execute();
    await transaction.deleteFrom('sessions').where('token_id', '=', id).execute();
    return bearer.role as TokenRecord['role'];
  });
}
