/**
 * Durations in documents: text with a unit (`10s`, `1h30m`, `1d`), milliseconds inside. A bare
 * number is refused, because nobody can tell which unit was meant; 0 needs none.
 */
import { z } from 'zod';
import { durationOf } from '../expressions/duration-text.ts';
import type { DurationMs } from '../ids.ts';
import { withHint, wordFor } from './strict.ts';

const HINT = 'write a number with a unit: 250ms, 10s, 5m, 1h30m, 1d';

/** A year and a day: beyond it a typo is likelier than a wish. */
const LONGEST_MS = 366 * 86_400_000;

function durationField(leastMs: number): z.ZodType<DurationMs, unknown> {
  return z
    .unknown()
    .transform((value, context): DurationMs => {
      const fail = (problem: string): never => {
        context.issues.push({ code: 'custom', input: value, message: withHint(problem, HINT) });
        return z.NEVER;
      };
      if (value === undefined) return fail('is missing: a duration is needed');
      const ms = value === 0 ? 0 : typeof value === 'string' ? durationOf(value) : undefined;
      if (ms === undefined) {
        return fail(
          typeof value === 'number' ? `${value} has no unit` : `${wordFor(value)} is no duration`,
        );
      }
      if (ms < leastMs) {
        return fail(leastMs > 0 ? 'must be longer than nothing' : 'must not be negative');
      }
      if (ms > LONGEST_MS) return fail(`${wordFor(value)} is longer than a year`);
      return ms as DurationMs;
    })
    .meta({ type: 'string', examples: ['10s'] });
}

/** Zero or longer. */
export const duration = durationField(0);
/** Longer than zero: the size of a window, an interval. */
export const positiveDuration = durationField(1);
