/** A duration in a step's configuration: `10s`, `1m30s`; milliseconds after parsing. */
import { z } from 'zod';
import { durationOf } from '../expressions/duration-text.ts';

export function durationField(leastMs = 1): z.ZodType<number, string> {
  return z.string().transform((text, context) => {
    const ms = durationOf(text);
    if (ms === undefined) {
      context.addIssue(`"${text}" is no duration: write 250ms, 10s, 5m, 1h30m, 1d`);
      return z.NEVER;
    }
    if (ms < leastMs) {
      context.addIssue(`"${text}" is too short: at least ${leastMs}ms`);
      return z.NEVER;
    }
    return ms;
  });
}
