/**
 * A schedule in words. The usual cron expressions are said as a person would; every other is shown
 * as it is written, since a wrong sentence is worse than none. Pure.
 */
import { formatCell } from '../format/amount.ts';
import { fieldsOf, listOf } from './batch-document.ts';

export interface ScheduleWords {
  /** `every day at 00:15`. */
  readonly text: string;
  /** As it is written in the job, where the words stand for it: `15 0 * * *`. */
  readonly code: string | null;
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const DAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** Each trigger of the schedule; empty when the job runs by hand alone. */
export function scheduleWords(schedule: Readonly<Record<string, unknown>> | null): ScheduleWords[] {
  if (schedule === null) return [];
  const words: ScheduleWords[] = listOf(schedule['cron'])
    .map(String)
    .map((cron) => ({ text: cronWords(cron), code: cron }));
  if (schedule['every'] !== undefined) words.push(plain(`every ${formatCell(schedule['every'])}`));
  const at = listOf(schedule['at']).map(String);
  if (at.length === 1) words.push(plain(`once, at ${at[0]}`));
  else if (at.length > 1) words.push(plain(`at ${at.length} set times, the last at ${at.at(-1)}`));
  const datasets = listOf(schedule['datasets'] ?? schedule['dataset']).map(String);
  if (datasets.length === 1) words.push(plain(`when the dataset ${datasets[0]} is updated`));
  else if (datasets.length > 1) {
    words.push(plain(`when the datasets ${datasets.join(', ')} are all updated`));
  }
  const { onStartup, diskAbove } = schedule;
  if (onStartup !== undefined) {
    const delay = fieldsOf(onStartup)?.['delay'];
    words.push(plain(delay === undefined ? 'at start-up' : `${formatCell(delay)} after start-up`));
  }
  if (diskAbove !== undefined) {
    words.push(plain(`when the disk is fuller than ${shareText(diskAbove)}`));
  }
  return words;
}

/** Whether a zone says something: only clocks of cron, calendars and set times have one. */
export function zoneOf(schedule: Readonly<Record<string, unknown>> | null): string | null {
  if (schedule === null) return null;
  const { cron, every, at, timezone } = schedule;
  if (cron === undefined && every === undefined && at === undefined) return null;
  return typeof timezone === 'string' ? timezone : 'UTC';
}

export function cronWords(cron: string): string {
  const fields = cron.trim().split(/\s+/);
  if (fields.length !== 5) return 'by cron';
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  const everyDay = day === '*' && month === '*' && weekday === '*';
  const step = /^\*\/(\d+)$/.exec(minute)?.[1];
  if (step !== undefined && hour === '*' && everyDay) {
    return 60 % Number(step) === 0 ? `every ${step} minutes` : 'by cron';
  }
  if (!/^\d+$/.test(minute))
    return minute === '*' && hour === '*' && everyDay ? 'every minute' : 'by cron';
  if (hour === '*' && everyDay) return `every hour at :${two(minute)}`;
  if (!/^\d+(,\d+)*$/.test(hour)) return 'by cron';
  const times = hour.split(',').map((each) => `${two(each)}:${two(minute)}`);
  const days = dayWords(day, month, weekday);
  return days === null ? 'by cron' : `${days} at ${times.join(', ')}`;
}

function dayWords(day: string, month: string, weekday: string): string | null {
  if (month !== '*') return null;
  if (day === '*' && weekday === '*') return 'every day';
  if (day === '*') {
    if (weekday === '1-5' || weekday.toLowerCase() === 'mon-fri') return 'Monday to Friday';
    const names = weekday.split(',').map(weekdayName);
    return names.includes(null) ? null : `every ${names.join(', ')}`;
  }
  if (weekday === '*' && /^\d+$/.test(day)) return `on day ${day} of every month`;
  return null;
}

function weekdayName(field: string): string | null {
  const byName = DAY_NAMES.indexOf(field.toLowerCase());
  if (byName >= 0) return DAYS[byName] ?? null;
  return /^[0-7]$/.test(field) ? (DAYS[Number(field) % 7] ?? null) : null;
}

function shareText(share: unknown): string {
  return typeof share === 'number' ? `${Math.round(share * 100)}%` : formatCell(share);
}

function plain(text: string): ScheduleWords {
  return { text, code: null };
}

function two(digits: string): string {
  return digits.padStart(2, '0');
}
