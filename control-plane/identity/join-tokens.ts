/**
 * Join tokens: hashed at rest, expiring, limited in uses. Each carries the fingerprint of the root
 * key, which a device checks and pins, and may fix labels that the device cannot choose.
 */
import type { Kysely, Selectable } from 'kysely';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { JOIN_TOKEN, type Labels } from '@runnel/shared/protocol/enrolment.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { JoinTokensTable, Schema } from '../store/schema.ts';
import { matchesHash, newSecret } from './secrets.ts';

export type JoinTokenRow = Selectable<JoinTokensTable>;

/** A secret that is shown once. */
export interface MadeToken {
  readonly id: string;
  readonly token: string;
  readonly expiresAt: number | null;
}

export interface JoinTokenRequest {
  /** Labels that devices get and cannot choose otherwise. */
  readonly labels: Labels;
  /** Null: no limit. */
  readonly usesMax: number | null;
  /** From now; null: never. */
  readonly expiresMs: number | null;
  readonly createdBy: string;
}

export interface JoinTokenParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly random: Random;
  readonly fingerprint: string;
}

export async function createJoinToken(
  parts: JoinTokenParts,
  request: JoinTokenRequest,
): Promise<MadeToken> {
  const { id, secret, hash } = newSecret(parts.random);
  const now = parts.clock.now();
  const expiresAt = request.expiresMs === null ? null : now + request.expiresMs;
  await parts.db
    .insertInto('join_tokens')
    .values({
      id,
      secret_hash: hash,
      labels: JSON.stringify(request.labels),
      uses_max: request.usesMax,
      uses: 0,
      expires_at: expiresAt,
      created_at: now,
      created_by: request.createdBy,
      revoked_at: null,
    })
    .execute();
  return { id, token: `rj1.${id}.${secret}.${parts.fingerprint}`, expiresAt };
}

/** The row of a token whose secret is right. Error: `token_unknown`. */
export async function findJoinToken(parts: JoinTokenParts, token: string): Promise<JoinTokenRow> {
  const found = JOIN_TOKEN.exec(token);
  const row =
    found === null
      ? undefined
      : await parts.db
          .selectFrom('join_tokens')
          .selectAll()
          .where('id', '=', found[1]!)
          .executeTakeFirst();
  const secret = found?.[2] ?? '';
  if (row === undefined || !matchesHash(secret, row.secret_hash)) {
    throw new RunnelError('token_unknown', 'this control plane has no such join token', {
      hint: 'make one with: runnel token create --role agent',
    });
  }
  if (found?.[3] !== parts.fingerprint) {
    throw new RunnelError('token_unknown', "the token's fingerprint is of another root key", {
      hint: 'this control plane lost its keys or the token is of another one: make a new token',
    });
  }
  return row;
}

export function isOver(token: JoinTokenRow, now: number): boolean {
  return token.expires_at !== null && token.expires_at <= now;
}

export function hasUses(token: JoinTokenRow): boolean {
  return token.uses_max === null || token.uses < token.uses_max;
}

/** Errors: `token_revoked`, `token_expired`, `token_used_up`. */
export function checkUsable(token: JoinTokenRow, now: number): void {
  const hint = 'make a new one with: runnel token create --role agent';
  if (token.revoked_at !== null) {
    throw new RunnelError('token_revoked', 'the join token was revoked', { hint });
  }
  if (isOver(token, now)) {
    throw new RunnelError('token_expired', 'the join token has expired', { hint });
  }
  if (!hasUses(token)) {
    const uses = `${token.uses} of ${token.uses_max}`;
    throw new RunnelError('token_used_up', `the join token was used already (${uses})`, { hint });
  }
}

/** Takes one use, atomically: of two devices for one last use, one is refused. */
export async function takeUse(db: Kysely<Schema>, token: JoinTokenRow): Promise<void> {
  const taken = await db
    .updateTable('join_tokens')
    .set((e) => ({ uses: e('uses', '+', 1) }))
    .where('id', '=', token.id)
    .where('revoked_at', 'is', null)
    .where((e) => e.or([e('uses_max', 'is', null), e('uses', '<', e.ref('uses_max'))]))
    .executeTakeFirst();
  if (taken.numUpdatedRows > 0n) return;
  throw new RunnelError('token_used_up', 'the join token was just used up by another device', {
    hint: 'make a new one with: runnel token create --role agent',
  });
}
