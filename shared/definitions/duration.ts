/**
 * Durations in documents: text with a unit (`10s`, `1h30m`, `1d`), milliseconds inside. A bare
 * number is refused, because nobody can tell which unit was meant; 0 needs none.
 */
import { z } from 'zod';
import { durationOf } from '../expressions/duration-text.ts';
import type { DurationMs } from '../ids.ts';
import { withHint, wordFor } from './strict.ts';

const HINT =
  'write a number with a unit (ms, s, m or min, h, d, w, y of 365 days): 250ms, 10s, 1h30m, 1d';
/** A parameter that is a duration gives milliseconds. */
const NUMBER_HINT = `${HINT}; of a template {{ … }}ms`;

/** A year and a day: beyond it a typo is likelier than a wish. */
const LONGEST_MS = 366 * 86_400_000;
/** Of what is kept: archives outlive people's plans. */
const OLDEST_MS = 100 * LONGEST_MS;

function durationField(leastMs: number, mostMs = LONGEST_MS): z.ZodType<DurationMs, unknown> {
  return z
    .unknown()
    .transform((value, context): DurationMs => {
      const fail = (problem: string): never => {
        const hint = typeof value === 'number' ? NUMBER_HINT : HINT;
        context.issues.push({ code: 'custom', input: value, message: withHint(problem, hint) });
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
      if (ms > mostMs) {
        const most = mostMs === LONGEST_MS ? 'a year' : 'a hundred years';
        return fail(`${wordFor(value)} is longer than ${most}`);
      }
      return ms as DurationMs;
    })
    .meta({ type: 'string', examples: ['10s'] });
}

/** Zero or longer. */
export const duration = durationField(0);
/** How old something may become: up to a hundred years. */
export const age = durationField(0, OLDEST_MS);
/** Longer than zero: the size of a window, an interval. */
export const positiveDuration = durationField(1);
