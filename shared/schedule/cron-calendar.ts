/**
 * The wall-clock times that a cron expression names, as if every day had 24 hours: which days
 * match, and the next time on the wall from one on. Zones are laid over it in cron.ts.
 *
 * A wall time is written as epoch milliseconds of UTC. Days are found month by month from the sets,
 * never by trying instants, so `29 2 *` costs as little as `* * *`. The Gregorian calendar repeats
 * after 400 years to the day of the week: an expression that matches none of those days never will.
 */
import type { CronFields, DayRule } from './cron-fields.ts';

export const DAY_MS = 86_400_000;
const CYCLE_MONTHS = 400 * 12;

/** What is looked at: 1900 to 9999. */
export const WALL_MS_MIN = Date.UTC(1900, 0, 1);
export const WALL_MS_MAX = Date.UTC(10_000, 0, 1) - 1;

export class CronCalendar {
  readonly #fields: CronFields;
  /** The month that was looked at last, and its days as bits: bit 1 is the first. */
  #month = NaN;
  #days = 0;

  constructor(fields: CronFields) {
    this.#fields = fields;
  }

  /** The first time named at or after `wallMs`; undefined when there is none until 9999. */
  nextWall(wallMs: number): number | undefined {
    const from = Math.max(Math.ceil(wallMs / 1000) * 1000, WALL_MS_MIN);
    const day = Math.floor(from / DAY_MS);
    if (this.matchesDay(day)) {
      const second = this.#secondOfDay((from - day * DAY_MS) / 1000);
      if (second !== undefined) return day * DAY_MS + second * 1000;
    }
    const next = this.nextDay(day + 1);
    return next === undefined ? undefined : next * DAY_MS + this.#secondOfDay(0)! * 1000;
  }

  /** Days are counted from 1970-01-01. */
  matchesDay(day: number): boolean {
    const date = new Date(day * DAY_MS);
    const days = this.#daysOf(date.getUTCFullYear() * 12 + date.getUTCMonth());
    return (days & (1 << date.getUTCDate())) !== 0;
  }

  /** The first day that matches, at or after `day`. */
  nextDay(day: number): number | undefined {
    if (day * DAY_MS > WALL_MS_MAX) return undefined;
    const date = new Date(day * DAY_MS);
    const month = date.getUTCFullYear() * 12 + date.getUTCMonth();
    let bits = this.#daysOf(month) & (-1 << date.getUTCDate());
    for (let passed = 0; passed <= CYCLE_MONTHS; passed += 1) {
      if (passed > 0) bits = this.#daysOf(month + passed);
      if (bits === 0) continue;
      const first = firstDayOf(month + passed) + lowestBit(bits) - 1;
      return first * DAY_MS > WALL_MS_MAX ? undefined : first;
    }
    return undefined;
  }

  /** How many times named there are in `[fromMs, toMs)`. */
  countWalls(fromMs: number, toMs: number): number {
    const [from, to] = [Math.max(fromMs, WALL_MS_MIN), Math.min(toMs, WALL_MS_MAX + 1)];
    if (from >= to) return 0;
    const [first, last] = [Math.floor(from / DAY_MS), Math.floor(to / DAY_MS)];
    let days = 0;
    for (
      let day = this.nextDay(first);
      day !== undefined && day < last;
      day = this.nextDay(day + 1)
    ) {
      days += 1;
    }
    const { seconds, minutes, hours } = this.#fields;
    return (
      days * hours.length * minutes.length * seconds.length +
      this.#countBefore(last, to) -
      this.#countBefore(first, from)
    );
  }

  /** Times named on that day before `wallMs`. */
  #countBefore(day: number, wallMs: number): number {
    if (!this.matchesDay(day)) return 0;
    const second = Math.ceil((wallMs - day * DAY_MS) / 1000);
    const { seconds, minutes, hours } = this.#fields;
    const [hour, minute] = [Math.floor(second / 3600), Math.floor(second / 60) % 60];
    const below = (values: readonly number[], value: number): number =>
      values.filter((each) => each < value).length;
    let count = below(hours, hour) * minutes.length * seconds.length;
    if (!hours.includes(hour)) return count;
    count += below(minutes, minute) * seconds.length;
    return minutes.includes(minute) ? count + below(seconds, second % 60) : count;
  }

  #daysOf(month: number): number {
    if (month === this.#month) return this.#days;
    this.#month = month;
    this.#days = this.#fields.months.has((month % 12) + 1) ? this.#matching(month) : 0;
    return this.#days;
  }

  #matching(month: number): number {
    const first = firstDayOf(month);
    const length = firstDayOf(month + 1) - first;
    // 1970-01-01 was a Thursday.
    const weekday = (((first + 4) % 7) + 7) % 7;
    const { daysOfMonth, daysOfWeek, bothDays } = this.#fields;
    const all = ((1 << length) - 1) << 1;
    const bits = (rules: readonly DayRule[]): number =>
      rules.reduce((sum, rule) => sum | bitsOf(rule, length, weekday), 0) & all;
    if (daysOfMonth.length === 0) return daysOfWeek.length === 0 ? all : bits(daysOfWeek);
    if (daysOfWeek.length === 0) return bits(daysOfMonth);
    return bothDays ? bits(daysOfMonth) & bits(daysOfWeek) : bits(daysOfMonth) | bits(daysOfWeek);
  }

  #secondOfDay(from: number): number | undefined {
    const { seconds, minutes, hours } = this.#fields;
    const [hour, minute] = [Math.floor(from / 3600), Math.floor(from / 60) % 60];
    const start = hours.find((each) => each >= hour);
    if (start === undefined) return undefined;
    if (start === hour) {
      const sameMinute = minutes.includes(minute)
        ? seconds.find((each) => each >= from % 60)
        : undefined;
      if (sameMinute !== undefined) return hour * 3600 + minute * 60 + sameMinute;
      const later = minutes.find((each) => each > minute);
      if (later !== undefined) return hour * 3600 + later * 60 + seconds[0]!;
    }
    const next = start === hour ? hours.find((each) => each > hour) : start;
    return next === undefined ? undefined : next * 3600 + minutes[0]! * 60 + seconds[0]!;
  }
}

/** `month` counts from the year 0. */
function firstDayOf(month: number): number {
  return Date.UTC(Math.floor(month / 12), month % 12, 1) / DAY_MS;
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** Days of a month as bits; `weekday` is that of its first day. */
function bitsOf(rule: DayRule, length: number, weekday: number): number {
  const weekdayOf = (day: number): number => (weekday + day - 1) % 7;
  switch (rule.kind) {
    case 'dayOfMonth':
      return 1 << rule.day;
    case 'lastDay':
      return 1 << length;
    case 'lastWorkday':
      return 1 << nearestWorkday(length, length, weekdayOf(length));
    case 'nearestWorkday':
      if (rule.day > length) return 0;
      return 1 << nearestWorkday(rule.day, length, weekdayOf(rule.day));
    case 'weekday':
    case 'nthWeekday':
    case 'lastWeekday': {
      const first = 1 + ((rule.weekday - weekday + 7) % 7);
      const all: number[] = [];
      for (let day = first; day <= length; day += 7) all.push(day);
      if (rule.kind === 'lastWeekday') return 1 << all.at(-1)!;
      if (rule.kind === 'weekday') return all.reduce((sum, day) => sum | (1 << day), 0);
      const nth = all[rule.nth - 1];
      return nth === undefined ? 0 : 1 << nth;
    }
  }
}

/** Saturday goes back to Friday and Sunday on to Monday, but never out of the month. */
function nearestWorkday(day: number, length: number, weekday: number): number {
  if (weekday === 6) return day === 1 ? 3 : day - 1;
  if (weekday === 0) return day === length ? day - 2 : day + 1;
  return day;
}
