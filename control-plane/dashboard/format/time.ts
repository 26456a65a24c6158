/**
 * Times as people read them. Pure: `now` is an argument, so that everything on the page that is
 * relative ticks from one clock, and tests own it.
 *
 * Absolute times are written year first and in the browser's time zone: an engineer compares them
 * with logs, and no reader takes day for month.
 */
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `4 s`, `12 min`, `3 h 05 min`, `2 d 4 h`: two units at most, never negative. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  const rest = Math.max(0, ms);
  if (rest < SECOND) return `${Math.round(rest)} ms`;
  if (rest < 10 * SECOND) return `${trimZero((rest / SECOND).toFixed(1))} s`;
  if (rest < MINUTE) return `${Math.floor(rest / SECOND)} s`;
  if (rest < HOUR) return `${Math.floor(rest / MINUTE)} min`;
  if (rest < DAY) {
    const minutes = Math.floor((rest % HOUR) / MINUTE);
    return `${Math.floor(rest / HOUR)} h ${String(minutes).padStart(2, '0')} min`;
  }
  const hours = Math.floor((rest % DAY) / HOUR);
  const days = Math.floor(rest / DAY);
  return days >= 10 || hours === 0 ? `${days} d` : `${days} d ${hours} h`;
}

/**
 * How long ago, in one unit. A moment up to 30 s ahead is clock skew and reads `just now`; further
 * ahead is said plainly, since a device with a wrong clock is worth noticing.
 */
export function formatAgo(now: number, at: number | null): string {
  if (at === null) return 'never';
  const ms = now - at;
  if (ms < -30 * SECOND) return `in ${oneUnit(-ms)}`;
  if (ms < 2 * SECOND) return 'just now';
  return `${oneUnit(ms)} ago`;
}

function oneUnit(ms: number): string {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

/** `2026-11-22 14:03:07`, local time. */
export function formatTimestamp(at: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '–';
  return `${formatDate(date)} ${formatClock(at)}`;
}

/** `14:03:07`, local time. */
export function formatClock(at: number): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

/** A window `[start, end)`: both clock times, and the date once, unless it is today's. */
export function formatWindow(start: number | null, end: number | null, now: number): string {
  if (start === null || end === null) return '–';
  const day = (at: number): string => formatDate(new Date(at));
  if (day(start) !== day(end)) return `${formatTimestamp(start)} – ${formatTimestamp(end)}`;
  const from = day(start) === day(now) ? formatClock(start) : formatTimestamp(start);
  return `${from} – ${formatClock(end)}`;
}

function formatDate(date: Date): string {
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(two).join('-');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function trimZero(text: string): string {
  return text.replace(/\.0$/, '');
}
