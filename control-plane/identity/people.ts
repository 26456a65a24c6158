/**
 * People and programs: bearer tokens with a role, one-time sign-in links, browser sessions. All
 * secrets are hashed at rest; a session ends with the token that it came from.
 */
import type { Kysely } from 'kysely';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Schema } from '../store/schema.ts';
import type { MadeToken } from './join-tokens.ts';
import { createPrivateFile, readPrivateFile } from './private-file.ts';
import { hashSecret, matchesHash, newSecret } from './secrets.ts';

/** Each includes the ones before it. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** Whether `role` may do what asks for `needed`. */
export function includesRole(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

export interface Person {
  /** `token:<id>` or `session:<id>`: what the audit log says. */
  readonly id: string;
  readonly role: Role;
  readonly name: string;
  /** On whose strength it is here, so that what it makes ends with it; null: of no token. */
  readonly tokenId: string | null;
}

export interface ApiTokenRequest {
  readonly role: Role;
  readonly name: string;
  /** From now; null: never. */
  readonly expiresMs: number | null;
  readonly createdBy: string;
}

export interface PeopleParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly random: Random;
}

const API_TOKEN = /^rt1\.([a-z0-9]{12})\.([A-Za-z0-9_-]{43})$/;
const CODE = /^([a-z0-9]{12})\.([A-Za-z0-9_-]{43})$/;
const LINK_MS_MAX = 15 * 60_000;
const SESSION_MS_MAX = 12 * 3_600_000;

export async function createApiToken(
  parts: PeopleParts,
  request: ApiTokenRequest,
): Promise<MadeToken> {
  const { id, secret, hash } = newSecret(parts.random);
  const now = parts.clock.now();
  const expiresAt = request.expiresMs === null ? null : now + request.expiresMs;
  await insertApiToken(parts, { ...request, id, hash, expiresAt });
  return { id, token: `rt1.${id}.${secret}`, expiresAt };
}

async function insertApiToken(
  { db, clock }: PeopleParts,
  token: Omit<ApiTokenRequest, 'expiresMs'> & {
    readonly id: string;
    readonly hash: string;
    readonly expiresAt: number | null;
  },
): Promise<void> {
  await db
    .insertInto('api_tokens')
    .values({
      id: token.id,
      secret_hash: token.hash,
      role: token.role,
      name: token.name,
      expires_at: token.expiresAt,
      created_at: clock.now(),
      created_by: token.createdBy,
      revoked_at: null,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
}

/** Undefined when it proves nothing: wrong, expired or revoked. */
export async function verifyBearer(
  { db, clock }: PeopleParts,
  token: string,
): Promise<Person | undefined> {
  const found = API_TOKEN.exec(token);
  if (found === null) return undefined;
  const row = await standingToken(db, found[1]!, clock.now());
  if (row === undefined || !matchesHash(found[2]!, row.secret_hash)) return undefined;
  return { id: `token:${row.id}`, role: row.role as Role, name: row.name, tokenId: row.id };
}

/** Undefined when there is none, it was revoked, or it has expired. */
async function standingToken(db: Kysely<Schema>, id: string, now: number) {
  return await db
    .selectFrom('api_tokens')
    .selectAll()
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .where((e) => e.or([e('expires_at', 'is', null), e('expires_at', '>', now)]))
    .executeTakeFirst();
}

/** `tokenId`: the token on whose strength it was made; the session ends with it. */
export async function createSignInLink(
  parts: PeopleParts,
  role: Role,
  tokenId: string | null,
): Promise<{ readonly code: string; readonly expiresAt: number }> {
  const { id, secret, hash } = newSecret(parts.random);
  const now = parts.clock.now();
  const expiresAt = now + LINK_MS_MAX;
  const row = { id, kind: 'link', secret_hash: hash, role, token_id: tokenId };
  await parts.db
    .insertInto('sessions')
    .values({ ...row, expires_at: expiresAt, used_at: null, created_at: now })
    .execute();
  return { code: `${id}.${secret}`, expiresAt };
}

/** A link works once; undefined when it is wrong, used or expired. */
export async function redeemSignInLink(
  parts: PeopleParts,
  code: string,
): Promise<{ readonly secret: string; readonly expiresAt: number } | undefined> {
  const now = parts.clock.now();
  const link = await findSession(parts, code, 'link');
  if (link === undefined) return undefined;
  const session = newSecret(parts.random);
  const expiresAt = now + SESSION_MS_MAX;
  const made = await parts.db.transaction().execute(async (transaction) => {
    const used = await transaction
      .updateTable('sessions')
      .set({ used_at: now })
      .where('id', '=', link.id)
      .where('used_at', 'is', null)
      .executeTakeFirst();
    if (used.numUpdatedRows === 0n) return false;
    await transaction.deleteFrom('sessions').where('expires_at', '<', now).execute();
    await transaction
      .insertInto('sessions')
      .values({
        id: session.id,
        kind: 'session',
        secret_hash: session.hash,
        role: link.role,
        token_id: link.token_id,
        expires_at: expiresAt,
        used_at: null,
        created_at: now,
      })
      .execute();
    return true;
  });
  return made ? { secret: `${session.id}.${session.secret}`, expiresAt } : undefined;
}

export async function verifySession(
  parts: PeopleParts,
  secret: string,
): Promise<Person | undefined> {
  const row = await findSession(parts, secret, 'session');
  if (row === undefined) return undefined;
  return { id: `session:${row.id}`, role: row.role as Role, name: '', tokenId: row.token_id };
}

/** Signing out; harmless when there is no such session. */
export async function endSession(parts: PeopleParts, secret: string): Promise<void> {
  const row = await findSession(parts, secret, 'session');
  if (row === undefined) return;
  await parts.db.deleteFrom('sessions').where('id', '=', row.id).execute();
}

async function findSession(
  { db, clock }: PeopleParts,
  code: string,
  kind: 'link' | 'session',
): Promise<{ id: string; role: string; token_id: string | null } | undefined> {
  const found = CODE.exec(code);
  if (found === null) return undefined;
  const row = await db
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', found[1]!)
    .where('kind', '=', kind)
    .executeTakeFirst();
  if (row === undefined || !matchesHash(found[2]!, row.secret_hash)) return undefined;
  const now = clock.now();
  if (row.expires_at <= now || row.used_at !== null) return undefined;
  // A token that expires ends nothing by itself, and one that is revoked may have links under way.
  if (row.token_id === null || (await standingToken(db, row.token_id, now))) return row;
  return undefined;
}

/**
 * The first start's admin token, in a file of mode 0600. A crash between file and store is healed
 * by the next start, which takes the token of the file. Undefined when this is not the first
 * start: an admin token was made before, and this one may have been revoked since.
 */
export async function ensureAdminToken(
  parts: PeopleParts,
  path: string,
): Promise<string | undefined> {
  const made = await parts.db
    .selectFrom('api_tokens')
    .select('id')
    .where('role', '=', 'admin')
    .executeTakeFirst();
  if (made !== undefined) return undefined;
  const fresh = newSecret(parts.random);
  await createPrivateFile(path, `rt1.${fresh.id}.${fresh.secret}\n`, parts.random);
  const token = ((await readPrivateFile(path)) ?? '').trim();
  const found = API_TOKEN.exec(token);
  if (found === null) throw new Error(`${path} holds no token: remove it and start again`);
  await insertApiToken(parts, {
    id: found[1]!,
    hash: hashSecret(found[2]!),
    role: 'admin',
    name: 'first start',
    expiresAt: null,
    createdBy: 'system',
  });
  return token;
}
