/** The `window:` of a step as YAML: its schema, and the checks that span several fields. */
import { z } from 'zod';
import { limits } from '../../limits.ts';
import { byField } from '../by-field.ts';
import { duration, positiveDuration } from '../../definitions/duration.ts';
import { strict, withHint, wordFor } from '../../definitions/strict.ts';
import { CalendarGrid } from './calendar-grid.ts';
import { FixedGrid, greatestCommonDivisor, type PaneGrid } from './pane-grid.ts';
import { isTimezone } from './time-zone.ts';
import { type WindowSize, windowSizeOf } from './window-size.ts';

const sizeField = z
  .unknown()
  .transform((text, context): WindowSize => {
    const size = typeof text === 'string' ? windowSizeOf(text) : undefined;
    if (size !== undefined) return size;
    const message = text === undefined ? 'is missing' : `${wordFor(text)} is no window size`;
    const hint = 'write 10s, 5m, 1h, or by the calendar 1d, 1w, 1mo';
    context.issues.push({ code: 'custom', input: text, message: withHint(message, hint) });
    return z.NEVER;
  })
  .meta({ type: 'string', examples: ['10s'] });

const tumblingField = z.preprocess(
  (value) => (typeof value === 'string' ? { size: value } : value),
  strict({
    size: sizeField.describe('Length: `10s`, or calendar days, weeks, months: `1d`, `1w`, `1mo`.'),
    offset: duration
      .prefault('0s')
      .describe('Moves every border: `6h` begins days at 06:00. Default `0s`.'),
    timezone: z
      .string()
      .refine(isTimezone, {
        error: withHint('is no time zone', 'write an IANA name such as Europe/Paris'),
      })
      .optional()
      .describe('IANA time zone of calendar sizes. Default `UTC`.'),
  }),
);

export const windowField = strict({
  tumbling: tumblingField.optional().describe('Windows side by side: `10s` or its fields.'),
  hopping: strict({
    size: positiveDuration.describe('Length of a window. Example: `1m`.'),
    every: positiveDuration.describe('Time from one start to the next. Example: `10s`.'),
  })
    .optional()
    .describe('Windows that overlap: `{ size: 1m, every: 10s }`.'),
  session: strict({
    gap: positiveDuration.describe('Longest silence inside of a session. Example: `30s`.'),
    max: positiveDuration.optional().describe('Longest session. Default: no bound.'),
  })
    .optional()
    .describe('Windows that end with silence, per key: `{ gap: 30s }`.'),
  by: byField
    .optional()
    .describe('Key: an expression or a list of them. Default: one key, null, for all.'),
  allowedLateness: duration
    .prefault('0s')
    .describe('How long a window that fired can still change. Default `0s`.'),
}).superRefine((window, context) => {
  const kinds = [window.tumbling, window.hopping, window.session].filter(Boolean).length;
  if (kinds !== 1) context.addIssue('needs exactly one of tumbling, hopping, session');
  for (const problem of [tumblingProblem(window.tumbling), hoppingProblem(window.hopping)]) {
    if (problem !== undefined) context.addIssue(problem);
  }
  const { session } = window;
  if (session?.max !== undefined && session.max <= session.gap) {
    context.addIssue({
      code: 'custom',
      path: ['session', 'max'],
      message: 'must exceed the gap',
    });
  }
});

export type WindowConfig = z.output<typeof windowField>;
type Issue = { code: 'custom'; path: string[]; message: string };

function tumblingProblem(tumbling: WindowConfig['tumbling']): Issue | undefined {
  if (tumbling === undefined) return undefined;
  const { size, offset, timezone } = tumbling;
  if (size.kind === 'fixed' && timezone !== undefined) {
    const message = 'needs a calendar size: 1d, 1w or 1mo (24h is a fixed length)';
    return { code: 'custom', path: ['tumbling', 'timezone'], message };
  }
  const lengthMs = size.kind === 'fixed' ? size.ms : 86_400_000;
  if (offset < lengthMs) return undefined;
  return { code: 'custom', path: ['tumbling', 'offset'], message: 'must be shorter than the size' };
}

function hoppingProblem(hopping: WindowConfig['hopping']): Issue | undefined {
  if (hopping === undefined) return undefined;
  const { size, every } = hopping;
  if (every > size) {
    const message = 'must not exceed the size: records between windows would be lost';
    return { code: 'custom', path: ['hopping', 'every'], message };
  }
  const panes = size / greatestCommonDivisor(size, every);
  if (panes <= limits.windowsPerKeyMax) return undefined;
  const message = `makes ${panes} panes, more than ${limits.windowsPerKeyMax}: pick rounder sizes`;
  return { code: 'custom', path: ['hopping', 'every'], message };
}

/** The grid of tumbling and hopping windows; undefined for sessions. Made per running job. */
export function gridOf(window: WindowConfig): PaneGrid | undefined {
  const { tumbling, hopping } = window;
  if (hopping !== undefined) return new FixedGrid(hopping.size, hopping.every, 0);
  if (tumbling === undefined) return undefined;
  const { size, offset } = tumbling;
  if (size.kind === 'fixed') return new FixedGrid(size.ms, size.ms, offset);
  return new CalendarGrid(size.unit, size.count, offset, tumbling.timezone ?? 'UTC');
}
