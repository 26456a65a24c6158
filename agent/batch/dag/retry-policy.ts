/**
 * Whether a failed attempt is made again, and when (DESIGN.md §8).
 *
 * The pause before attempt n + 1 is `initial × factor^(n − 1)`, at most `max`, spread by ±20 % (at
 * `max` by −20 % alone) so that devices that failed together do not come back together. The spread
 * is a hash of run, task and attempt: the same on every replay. What the other side asked for
 * (`Retry-After`) is honoured as a lower bound, up to `limits.retryAfterMsMax`.
 *
 * Attempts that the agent's own stop interrupted do not count against `attempts`: they have a bound
 * of their own, so that a task that kills its agent does not do so for ever.
 */
import { createHash } from 'node:crypto';
import {
  ERROR_CLASSES,
  type ErrorClass,
  type RetryPolicy,
} from '@runnel/shared/definitions/batch-job.ts';
import { limits } from '@runnel/shared/limits.ts';

export interface FailedAttempt {
  readonly class: string;
  /** Attempts begun, this one included, and how many of them were interrupted. */
  readonly attempt: number;
  readonly interrupted: number;
  readonly retryAfterMs?: number | undefined;
  /** What makes the jitter: `<run key>/<task>/<index>`. */
  readonly seed: string;
}

/** Share of the pause that is added or taken at most. */
const JITTER = 0.2;

/** Trying the same again cannot help. */
const HOPELESS: ReadonlySet<ErrorClass> = new Set(['definition', 'policy']);

/** Milliseconds to wait before the next attempt, or null when there is none. */
export function retryPauseMs(policy: RetryPolicy, failed: FailedAttempt): number | null {
  const errorClass = ERROR_CLASSES.find((name) => name === failed.class) ?? 'other';
  if (errorClass === 'interrupted') return pauseOfInterrupted(policy, failed);
  const attemptsMax = policy.on[errorClass]?.attempts ?? defaultAttempts(policy, errorClass);
  const counted = failed.attempt - failed.interrupted;
  if (counted >= attemptsMax) return null;
  const asked = Math.min(failed.retryAfterMs ?? 0, limits.retryAfterMsMax);
  return Math.round(Math.max(asked, pauseMs(policy, counted, failed)));
}

/** The longest pause that there can be: one that seems longer comes of a clock that went back. */
export function longestPauseMs(policy: RetryPolicy): number {
  return Math.max(limits.retryAfterMsMax, policy.backoff.maxMs);
}

function defaultAttempts(policy: RetryPolicy, errorClass: ErrorClass): number {
  return HOPELESS.has(errorClass) ? 1 : policy.attempts;
}

/** At once after the first: it was most likely an update or a power cut, and not the task. */
function pauseOfInterrupted(policy: RetryPolicy, failed: FailedAttempt): number | null {
  const attemptsMax = policy.on.interrupted?.attempts ?? limits.interruptedAttemptsMax;
  if (failed.interrupted >= attemptsMax) return null;
  if (failed.interrupted <= 1) return 0;
  return Math.round(pauseMs(policy, failed.interrupted - 1, failed));
}

function pauseMs(policy: RetryPolicy, failures: number, failed: FailedAttempt): number {
  const { initialMs, factor, maxMs } = policy.backoff;
  const whole = Math.min(maxMs, initialMs * factor ** (failures - 1));
  const leastMs = whole * (1 - JITTER);
  const mostMs = Math.min(maxMs, whole * (1 + JITTER));
  return leastMs + (mostMs - leastMs) * shareOf(`${failed.seed}/${failed.attempt}`);
}

/** A number in `[0, 1)` that depends on the text alone. */
function shareOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}
