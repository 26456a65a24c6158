/**
 * Delays of the link as ranges `[minMs, maxMs]`: the pure transition names them, the shell draws
 * from them. Ranges rather than numbers, so that ten thousand agents that lose one server do not
 * come back in one instant.
 */
import type { EpochMs } from '@runnel/shared/ids.ts';

export interface Range {
  readonly minMs: number;
  readonly maxMs: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

export const DELAYS = {
  /** After a `changed` command; DESIGN.md §6.5. */
  changed: { minMs: 0, maxMs: 2 * SECOND },
  /** The regular look for a newer desired state, whatever commands were lost. */
  regular: { minMs: 4 * MINUTE, maxMs: 6 * MINUTE },
  /** A connection that ended because its credentials did, with newer ones in hand. */
  expired: { minMs: 0, maxMs: SECOND },
  /** A person has to approve this device first. */
  pending: { minMs: 3 * SECOND, maxMs: 6 * SECOND },
  /** Revoked: nothing will change soon, but a person may take it back. */
  revoked: { minMs: 10 * MINUTE, maxMs: 20 * MINUTE },
} as const satisfies Record<string, Range>;

const BACKOFF_FIRST_MS = SECOND;
const BACKOFF_MS_MAX = 60 * SECOND;

/** Exponential: 1 s, 2 s, 4 s … 60 s, each spread over its upper three quarters. */
export function backoff(failures: number): Range {
  const maxMs = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(failures, 16), BACKOFF_MS_MAX);
  return { minMs: maxMs / 4, maxMs };
}

/**
 * When to renew: at two thirds of the credentials' life. `fresh` ones have all of it ahead by
 * definition; of others the age is read from our clock and held within the life, so that a clock
 * that is years off costs one early renewal and no loop.
 */
export function renewalDelay(
  life: { readonly issuedAt: number; readonly expiresAt: number },
  now: EpochMs,
  fresh: boolean,
): Range {
  const lengthMs = Math.max(life.expiresAt - life.issuedAt, 0);
  const ageMs = fresh ? 0 : Math.min(Math.max(now - life.issuedAt, 0), lengthMs);
  const minMs = Math.max((lengthMs * 2) / 3 - ageMs, 0);
  return { minMs, maxMs: minMs + lengthMs / 20 };
}

/** After a renewal over NATS that failed: often enough to fit many tries in the last third. */
export function renewalRetry(life: {
  readonly issuedAt: number;
  readonly expiresAt: number;
}): Range {
  const stepMs = (life.expiresAt - life.issuedAt) / 30;
  const minMs = Math.min(Math.max(stepMs, SECOND), 10 * MINUTE);
  return { minMs, maxMs: minMs * 2 };
}
