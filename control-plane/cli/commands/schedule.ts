/** `runnel schedule next`: when a cron expression fires. Needs no control plane. */
import { firstInstantOf, isTimezone } from '@runnel/shared/engine/windows/time-zone.ts';
import { WALL_MS_MAX, WALL_MS_MIN } from '@runnel/shared/schedule/cron-calendar.ts';
import { cronFireTimes, cronProblem } from '@runnel/shared/schedule/cron.ts';
import { usageError } from '../cli-error.ts';
import { type Context, print } from '../context.ts';
import { instant } from '../table.ts';

export interface ScheduleNextOptions {
  readonly cron: string;
  readonly timezone: string;
  readonly from?: string;
  readonly count: string;
}

const COUNT_MAX = 10_000;
const INSTANT = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?(Z|[+-]\d\d:\d\d)?$/;

export const SCHEDULE_NEXT_HELP = `
Times are strictly after --from, in UTC as ISO 8601, one a line (2026-11-22T00:15:00Z); fewer than
asked for when there are no more until 9999. A time that the clock skips fires once, at the first
instant after the gap; one that repeats fires once, at the first. With every hour (*) the schedule
follows elapsed time: it fires in both passes of an hour that repeats. --from without a zone is on
the clock of --timezone; a date alone is its midnight.

Example:
  runnel schedule next --cron "15 0 * * *" --timezone Europe/Paris --from 2026-03-28T00:00:00Z`;

export function scheduleNext(context: Context, options: ScheduleNextOptions): void {
  const wrong = cronProblem(options.cron);
  if (wrong !== undefined) {
    throw usageError(`--cron "${options.cron}": ${wrong.problem}`, wrong.hint);
  }
  if (!isTimezone(options.timezone)) {
    const hint = 'an IANA name, for example Europe/Paris';
    throw usageError(`--timezone "${options.timezone}" is no time zone known here`, hint);
  }
  const count = countOf(options.count);
  const times = cronFireTimes(options.cron, options.timezone);
  const fires: string[] = [];
  let at: number | undefined = fromOf(options.from, options.timezone, context.terminal.clock.now());
  while (fires.length < count) {
    at = times.next(at);
    if (at === undefined) break;
    fires.push(instant(at));
  }
  print(context, fires, () => fires.map((fire) => `${fire}\n`).join(''));
}

function countOf(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= COUNT_MAX) return count;
  throw usageError(`--count "${text}" is no whole number from 1 to ${COUNT_MAX}`);
}

/** Without a zone it is the time on the wall of `timezone`; a date alone is its midnight. */
function fromOf(text: string | undefined, timezone: string, nowMs: number): number {
  if (text === undefined) return nowMs;
  const [, date = '', time = 'T00:00', zone] = INSTANT.exec(text) ?? [];
  const wallMs = isDate(date) ? Date.parse(`${date}${time}${zone ?? 'Z'}`) : NaN;
  if (wallMs >= WALL_MS_MIN && wallMs <= WALL_MS_MAX) {
    return zone === undefined ? firstInstantOf(timezone, wallMs) : wallMs;
  }
  const hint = 'ISO 8601, for example 2026-01-31T08:00:00Z, from 1900 to 9999';
  throw usageError(`--from "${text}" is no instant`, hint);
}

/** `Date.parse` takes 31 February for 3 March. */
function isDate(text: string): boolean {
  const at = Date.parse(`${text}T00:00:00Z`);
  return Number.isFinite(at) && new Date(at).toISOString().startsWith(text);
}
