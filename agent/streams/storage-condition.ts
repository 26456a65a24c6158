/** What a commit that failed says to people. */
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { ConditionInput } from '../resources/conditions.ts';

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
