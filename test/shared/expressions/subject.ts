/** A record to evaluate expressions on. */
import type { Subject } from '@runnel/shared/expressions/expression.ts';

export function subject(payload: unknown, more: Partial<Subject> = {}): Subject {
  return {
    time: 1_000,
    payload,
    topic: 'press/3/vibration',
    meta: { retained: false },
    key: null,
    windowStart: null,
    windowEnd: null,
    ...more,
  };
}
