/**
 * Secrets of tokens and sessions: 256 random bits, so that a plain SHA-256 at rest is enough (no
 * dictionary can find them), compared in constant time.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { randomId } from '@runnel/shared/ids.ts';
import type { Random } from '@runnel/shared/random.ts';

export interface NewSecret {
  readonly id: string;
  readonly secret: string;
  readonly hash: string;
}

/** `id` finds the row, `secret` proves, `hash` is what is stored. */
export function newSecret(random: Random): NewSecret {
  const secret = Buffer.from(random.bytes(32)).toString('base64url');
  return { id: randomId(random, 12), secret, hash: hashSecret(secret) };
}

/** SHA-256, hex. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}

export function matchesHash(secret: string, hash: string): boolean {
  const actual = Buffer.from(hashSecret(secret), 'hex');
  const stored = Buffer.from(hash, 'hex');
  return actual.length === stored.length && timingSafeEqual(actual, stored);
}
