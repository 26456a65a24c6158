/**
 * The text of a cron expression, parsed into sets of values.
 *
 * Five fields (minute, hour, day of month, month, day of week) or six (second first), or a word
 * such as `@daily`, by the Open Cron Pattern Specification 1.0 to 1.4: names of months and days
 * in any case, lists, ranges, steps over `*` or a range, `L`, `LW`, `15W`, `5L`, `FRI#2`,
 * `FRI#L`, `?` for `*` in the day fields, and `+` before the days of the week for "both day
 * fields". Refused, because readers differ on what they mean: `5/15`, `22-2`, a step wider than
 * its field, a field of years.
 *
 * Our own parser: the parser of `cron-parser` loads a date library (9 MB resident, 60 ms at start,
 * which a small device feels), has no `W`, and lets `* *` and a step of 90 minutes pass.
 */
import { RunnelError } from '../errors.ts';

/** One way in which a day of the month or of the week can match. */
export type DayRule =
  | { readonly kind: 'dayOfMonth'; readonly day: number }
  | { readonly kind: 'lastDay' }
  | { readonly kind: 'lastWorkday' }
  /** The day from Monday to Friday that is nearest to it, within the month. */
  | { readonly kind: 'nearestWorkday'; readonly day: number }
  /** 0 is Sunday. */
  | { readonly kind: 'weekday'; readonly weekday: number }
  | { readonly kind: 'nthWeekday'; readonly weekday: number; readonly nth: number }
  | { readonly kind: 'lastWeekday'; readonly weekday: number };

export interface CronFields {
  /** Ascending, without repeats. */
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** 1 to 12. */
  readonly months: ReadonlySet<number>;
  /** Empty where the field begins with `*`: any day. */
  readonly daysOfMonth: readonly DayRule[];
  readonly daysOfWeek: readonly DayRule[];
  /** Both day fields must match, instead of either. */
  readonly bothDays: boolean;
  /**
   * The hours are those of an interval (`*`, a step, or all 24 however they are written) and not
   * times of the day: the schedule follows elapsed time.
   */
  readonly followsElapsedTime: boolean;
}

const WORDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const SECOND: Field = { name: 'second', min: 0, max: 59 };
const MINUTE: Field = { name: 'minute', min: 0, max: 59 };
const HOUR: Field = { name: 'hour', min: 0, max: 23 };
const DAY: Field = { name: 'day of month', min: 1, max: 31 };
const MONTH: Field = {
  name: 'month',
  min: 1,
  max: 12,
  names: 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' '),
};
const WEEKDAY: Field = {
  name: 'day of week',
  min: 0,
  max: 7,
  names: 'SUN MON TUE WED THU FRI SAT'.split(' '),
};

/** Longer than any list of every value of every field. */
const CHARS_MAX = 1024;
const FIELDS_HINT = 'for example "15 0 * * *" for 00:15 every day';

/** @throws {RunnelError} `cron_invalid`: which field, what is wrong, and how to mend it. */
export function parseCronFields(text: string): CronFields {
  if (text.length > CHARS_MAX) throw invalid(`longer than ${CHARS_MAX} characters`, FIELDS_HINT);
  const trimmed = text.trim();
  const parts = fieldTexts(trimmed);
  const [second, minute, hour, day, month, weekday] = parts as [string, ...string[]] & string[];
  const hours = valuesOf(HOUR, hour!);
  const both = weekday!.startsWith('+');
  return {
    seconds: valuesOf(SECOND, second),
    minutes: valuesOf(MINUTE, minute!),
    hours,
    months: new Set(valuesOf(MONTH, month!)),
    daysOfMonth: dayRules(day!, dayOfMonthRule),
    daysOfWeek: dayRules(both ? weekday!.slice(1) : weekday!, weekdayRules),
    bothDays: both,
    followsElapsedTime: hours.length === 24 || hour!.includes('/'),
  };
}

/** Six texts, second first. */
function fieldTexts(text: string): readonly string[] {
  if (text.startsWith('@')) {
    const known = WORDS[text];
    if (known !== undefined) return ['0', ...known.split(' ')];
    const hint =
      text === '@reboot'
        ? 'use `onStartup: true` instead of a cron expression'
        : `known words: ${Object.keys(WORDS).join(', ')}`;
    throw invalid(`${text} is no word that stands for a schedule`, hint);
  }
  const parts = text === '' ? [] : text.split(/[ \t]+/);
  if (parts.length === 5) return ['0', ...parts];
  if (parts.length === 6) return parts;
  const hint = parts.length === 7 ? 'there is no field of years; use `at` for a date' : FIELDS_HINT;
  throw invalid(`${parts.length} fields, where 5 are needed, or 6 with seconds first`, hint);
}

function valuesOf(field: Field, text: string): readonly number[] {
  const values = new Set(text.split(',').flatMap((item) => plainValues(field, item)));
  return [...values].sort((a, b) => a - b);
}

/** Of one item of a list: `*`, `7`, `1-5`, and with a step after a star or a range. */
function plainValues(field: Field, item: string): readonly number[] {
  const [range = '', step, ...more] = item.split('/');
  if (more.length > 0) throw invalid(`"${item}" has two steps`, `in the field ${field.name}`);
  const [first, last] = boundsOf(field, range, item);
  const by = step === undefined ? 1 : stepOf(field, item, range, step);
  const values: number[] = [];
  for (let value = first; value <= last; value += by) values.push(value);
  return values;
}

function boundsOf(field: Field, range: string, item: string): readonly [number, number] {
  // 7 is Sunday again, and `*` must not count it twice as an end of a range.
  if (range === '*') return [field.min, field === WEEKDAY ? 6 : field.max];
  const ends = range.split('-');
  if (ends.length > 2) throw invalid(`"${item}" is no range`, rangeHint(field));
  const first = valueOf(field, ends[0] ?? '', item);
  if (ends.length === 1) return [first, first];
  const end = ends[1] ?? '';
  const last = field === WEEKDAY && end.toUpperCase() === 'SUN' ? 7 : valueOf(field, end, item);
  if (first > last) {
    const hint = `write it as two ranges: ${first}-${field.max},${field.min}-${last}`;
    throw invalid(`the range "${item}" of the field ${field.name} runs backwards`, hint);
  }
  return [first, last];
}

function stepOf(field: Field, item: string, range: string, text: string): number {
  const step = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (step === 0) {
    throw invalid(`"${item}" has no step from 1`, `in the field ${field.name}`);
  }
  if (range !== '*' && !range.includes('-')) {
    const hint = `write ${range}-${field.max}/${text}`;
    throw invalid(`the step of "${item}" needs "*" or a range before it`, hint);
  }
  if (step > field.max) {
    const hint = 'a step begins again with each turn of its field; use `every` for longer ones';
    throw invalid(`the step of "${item}" is wider than the field ${field.name}`, hint);
  }
  return step;
}

function valueOf(field: Field, text: string, item: string): number {
  const named = field.names?.indexOf(text.toUpperCase()) ?? -1;
  if (named >= 0) return named + field.min;
  const value = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  if (value >= field.min && value <= field.max) return value;
  const of = item === text ? '' : ` in "${item}"`;
  throw invalid(`"${text}"${of} is no ${field.name}`, rangeHint(field));
}

function rangeHint(field: Field): string {
  const names = field.names === undefined ? '' : `, or ${field.names.join(', ')}`;
  return `${field.min} to ${field.max}${names}, lists, ranges and steps of them`;
}

function dayRules(text: string, ruleOf: (item: string) => readonly DayRule[]): readonly DayRule[] {
  const items = text.split(',');
  // Parsed all the same: a wrong item behind a star is still a mistake.
  const rules = items.flatMap((item) => ruleOf(item === '?' ? '*' : item));
  return items[0] === '*' || items[0] === '?' ? [] : rules;
}

function dayOfMonthRule(item: string): readonly DayRule[] {
  const upper = item.toUpperCase();
  if (upper === 'L') return [{ kind: 'lastDay' }];
  if (upper === 'LW') return [{ kind: 'lastWorkday' }];
  if (upper.endsWith('W')) {
    return [{ kind: 'nearestWorkday', day: valueOf(DAY, upper.slice(0, -1), item) }];
  }
  return plainValues(DAY, item).map((day) => ({ kind: 'dayOfMonth', day }));
}

function weekdayRules(item: string): readonly DayRule[] {
  const [days = '', nth, ...more] = item.toUpperCase().split('#');
  if (more.length > 0) throw invalid(`"${item}" is no ${WEEKDAY.name}`, 'for example FRI#2');
  if (nth === undefined && !/^[^-/]+L$/.test(days)) {
    return weekdays(days).map((weekday) => ({ kind: 'weekday', weekday }));
  }
  const which = nth ?? 'L';
  const listed = weekdays(nth === undefined ? days.slice(0, -1) : days);
  if (which === 'L') return listed.map((weekday) => ({ kind: 'lastWeekday', weekday }));
  if (!/^[1-5]$/.test(which)) {
    throw invalid(`"${item}" asks for no week of a month`, 'from #1 to #5, or #L for the last');
  }
  return listed.map((weekday) => ({ kind: 'nthWeekday', weekday, nth: Number(which) }));
}

function weekdays(item: string): readonly number[] {
  if (item === 'L') {
    throw invalid('"L" alone is no day of the week', 'for example FRI#L for the last Friday');
  }
  return plainValues(WEEKDAY, item).map((value) => value % 7);
}

function invalid(problem: string, hint: string): RunnelError {
  return new RunnelError('cron_invalid', problem, { hint });
}
