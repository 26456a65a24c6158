/** What a commit that failed says to people. */
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { Logger } from 'pino';
import type { ConditionInput, Conditions } from '../resources/conditions.ts';

export function isFull(error: unknown): boolean {
  return error instanceof RunnelError && error.code === 'storage_full';
}

export function storageCondition(error: unknown): ConditionInput {
  return {
    type: 'storage',
    axis: 'storage',
    severity: 'error',
    reason: isFull(error) ? 'Full' : 'WriteFailed',
    message: messageOf(error).slice(0, 2000),
  };
}

/** The store was damaged: a new one begins. */
export function tellRecovered(
  { log, conditions }: { readonly log: Logger; readonly conditions: Conditions },
  { reason, setAside }: { readonly reason: string; readonly setAside: string },
): void {
  log.error({ reason, setAside }, 'the store was damaged; a new one begins');
  conditions.set({
    type: 'storage/recovered',
    axis: 'storage',
    severity: 'warning',
    reason: 'Recovered',
    message: `The store was damaged (${reason}) and set aside as ${setAside}.`.slice(0, 2000),
  });
}
