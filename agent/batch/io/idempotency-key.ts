/**
 * The `Idempotency-Key` of what a task instance sends over HTTP.
 *
 * Guarantees: the same for every attempt and rerun as long as what is sent is the same, and for
 * every attempt at something new until one has succeeded; another key than that of every success
 * before which sent something else, so that a receiver that keeps keys does not take it for that.
 */
import { createHash } from 'node:crypto';
import type { TaskContext } from '../tasks/task.ts';

/** `hash` is of what is sent: the task gives it back as `sent` when it succeeds. */
export function idempotencyKey(
  { effectKey, sent }: Pick<TaskContext, 'effectKey' | 'sent'>,
  hash: string,
): string {
  const revision = sentRevision(sent, hash);
  return revision === 1 ? effectKey : `${effectKey}-r${revision}`;
}

/** Counts from 1 the different things that an instance has sent with success, this one included. */
export function sentRevision(before: TaskContext['sent'], hash: string): number {
  if (before === null) return 1;
  return before.hash === hash ? before.revision : before.revision + 1;
}

export function bodyHash(type: string, bytes: Uint8Array): string {
  return createHash('sha256').update(`${type}\n`).update(bytes).digest('hex');
}
