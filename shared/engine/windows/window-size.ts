/**
 * The size of a tumbling window: a fixed duration (`10s`, `24h`) or whole units of the calendar
 * (`1d`, `2w`, `1mo`), which follow a time zone. `1d` is a calendar day and `24h` is not.
 */
import { durationOf } from '../../expressions/duration-text.ts';
import type { CalendarUnit } from './calendar-grid.ts';

export type WindowSize =
  | { readonly kind: 'fixed'; readonly ms: number }
  | { readonly kind: 'calendar'; readonly unit: CalendarUnit; readonly count: number };

const UNITS: Readonly<Record<string, CalendarUnit>> = { d: 'day', w: 'week', mo: 'month' };

/** Undefined when the text is no size. */
export function windowSizeOf(text: string): WindowSize | undefined {
  const calendar = /^([1-9]\d{0,3})(d|w|mo)$/.exec(text);
  if (calendar !== null) {
    return { kind: 'calendar', unit: UNITS[calendar[2]!]!, count: Number(calendar[1]) };
  }
  // Of the calendar there is none, and 365 days would drift against it.
  if (text.includes('y')) return undefined;
  const ms = durationOf(text);
  return ms === undefined || ms < 1 ? undefined : { kind: 'fixed', ms };
}
