/**
 * The `Idempotency-Key` of what a task instance sends over HTTP.
 *
 * Guarantees: the same for every attempt and rerun as long as what is sent is the same; another one
 * than that of any attempt before which sent something else, whether it succeeded or not, so that a
 * receiver that keeps keys does not take the one for the other.
 */
import { createHash } from 'node:crypto';
import type { TaskContext } from '../tasks/task.ts';
import type { HttpBody } from './http-client.ts';

/** `hash` is of what is sent next. */
export function idempotencyKey(
  { effectKey, sent, sending }: Pick<TaskContext, 'effectKey' | 'sending' | 'sent'>,
  hash: string,
): string {
  sending(hash);
  const revision = sentRevision(sent, hash);
  return revision === 1 ? effectKey : `${effectKey}-r${revision}`;
}

/** Counts from 1 the different things that an instance has sent, this one included. */
export function sentRevision(before: TaskContext['sent'], hash: string): number {
  if (before === null) return 1;
  return before.hash === hash ? before.revision : before.revision + 1;
}

export function bodyHash(body: HttpBody | undefined): string {
  const hash = createHash('sha256').update(`${body?.type ?? ''}\n`);
  return hash.update(body?.bytes ?? '').digest('hex');
}
