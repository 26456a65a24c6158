/**
 * Times are epoch milliseconds and durations milliseconds, plain numbers both: `time - payload.ts`
 * is a number of milliseconds and compares with `duration('10s')`.
 *
 * The calendar functions read UTC, or the time zone that they are given.
 */
import { durationOf } from './duration-text.ts';
import { argument, type CallSite, type FunctionSpec } from './function-spec.ts';
import type { CompiledNode, Run } from './scope.ts';
import { failure, wrongType } from './values.ts';

/** A date with a time and an offset or Z, or a plain date, which is midnight UTC. */
const ISO_8601 =
  /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2}))?$/;

/** Epoch milliseconds of an ISO 8601 text, or undefined. A time without an offset is refused. */
export function timestampOf(text: string): number | undefined {
  if (!ISO_8601.test(text)) return undefined;
  const ms = Date.parse(text.replace(' ', 'T'));
  return Number.isNaN(ms) ? undefined : ms;
}

export const timeFunctions: readonly FunctionSpec[] = [
  {
    name: 'timestamp',
    form: 'function',
    arguments: ['dyn'],
    returns: 'timestamp',
    summary: 'Epoch milliseconds of an ISO 8601 text; a number is taken as such.',
    example: "timestamp(payload.at) > timestamp('2026-01-01T00:00:00Z')",
    build: converted(timestampOf, 'an ISO 8601 time with an offset, like 2026-01-01T00:00:00Z'),
  },
  {
    name: 'duration',
    form: 'function',
    arguments: ['dyn'],
    returns: 'duration',
    summary: 'Milliseconds of a text like 10s or 1h30m; a number is taken as such.',
    example: "windowEnd - windowStart > duration('1m')",
    build: converted(durationOf, 'a duration like 10s or 1h30m'),
  },
  calendar('getFullYear', 'year', 'The year.'),
  calendar('getMonth', 'month', 'The month, January is 0.'),
  calendar('getDate', 'day', 'The day of the month from 1.'),
  calendar('getDayOfWeek', 'weekday', 'The day of the week, Sunday is 0.'),
  calendar('getHours', 'hour', 'The hour, 0 to 23.'),
  calendar('getMinutes', 'minute', 'The minute, 0 to 59.'),
  calendar('getSeconds', 'second', 'The second, 0 to 59.'),
];

function converted(
  parse: (text: string) => number | undefined,
  wanted: string,
): FunctionSpec['build'] {
  return (args: readonly CompiledNode[], site: CallSite): Run => {
    const { run, text, constant } = argument(args, 0);
    if (typeof constant?.value === 'string' && parse(constant.value) === undefined) {
      site.rejectArgument(0, `${text} is not ${wanted}`);
    }
    return (subject) => {
      const value = run(subject);
      if (typeof value === 'number') return value;
      if (typeof value !== 'string') return wrongType(value, text, `a string, ${wanted}`);
      return parse(value) ?? failure('bad_format', `${text} is not ${wanted}`);
    };
  };
}

type Part = 'year' | 'month' | 'day' | 'weekday' | 'hour' | 'minute' | 'second';

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

function calendar(name: string, part: Part, summary: string): FunctionSpec {
  return {
    name,
    form: 'method',
    arguments: ['timestamp', 'string'],
    optional: 1,
    returns: 'number',
    summary: `${summary} In UTC, or in a time zone.`,
    example: `time.${name}('Europe/Paris')`,
    build: (args, site) => {
      const target = argument(args, 0);
      const zone = args[1];
      if (zone === undefined) return readPart(target, part, 'UTC', site);
      const known = zone.constant?.value;
      if (typeof known !== 'string') {
        return site.rejectArgument(1, 'the time zone must be a literal or a parameter');
      }
      return readPart(target, part, known, site);
    },
  };
}

function readPart(target: CompiledNode, part: Part, zone: string, site: CallSite): Run {
  const { meter } = site;
  meter.used = true;
  const format = formatFor(zone, site);
  return (subject) => {
    const value = target.run(subject);
    if (typeof value !== 'number') return wrongType(value, target.text, 'a time');
    if (Math.abs(value) > 8_640_000_000_000_000) {
      return failure('out_of_range', `${target.text} is beyond what a calendar holds`);
    }
    meter.charge(20);
    const found = format.formatToParts(value).find((piece) => piece.type === part)?.value ?? '0';
    if (part === 'weekday') return WEEKDAYS.indexOf(found);
    return part === 'month' ? Number(found) - 1 : Number(found);
  };
}

function formatFor(zone: string, site: CallSite): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      weekday: 'short',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return site.rejectArgument(1, `"${zone}" is no time zone`, 'for example Europe/Paris');
  }
}
