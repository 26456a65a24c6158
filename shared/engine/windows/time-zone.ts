/** Wall-clock time of IANA time zones, by `Intl`: the one source of zone rules that is at hand. */

const DAY_MS = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

export function isTimezone(timezone: string): boolean {
  try {
    formatOf(timezone);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Wall-clock time minus UTC at an instant. */
export function zoneOffsetMs(timezone: string, timeMs: number): number {
  if (timezone === 'UTC') return 0;
  const parts: Record<string, string> = {};
  for (const { type, value } of formatOf(timezone).formatToParts(timeMs)) parts[type] = value;
  const year = Number(parts['year']);
  const wallMs = Date.UTC(
    parts['era'] === 'BC' ? 1 - year : year,
    Number(parts['month']) - 1,
    Number(parts['day']),
    Number(parts['hour']),
    Number(parts['minute']),
    Number(parts['second']),
  );
  return wallMs - Math.floor(timeMs / 1000) * 1000;
}

/**
 * The first instant at which the zone's clock shows `wallMs` (written as if it were UTC), or the
 * first instant after the gap where the zone's clock skips it.
 */
export function firstInstantOf(timezone: string, wallMs: number): number {
  const before = zoneOffsetMs(timezone, wallMs - DAY_MS);
  const after = zoneOffsetMs(timezone, wallMs + DAY_MS);
  if (before === after) return wallMs - before;
  const early = wallMs - before;
  if (zoneOffsetMs(timezone, early) === before) return early;
  const late = wallMs - after;
  if (zoneOffsetMs(timezone, late) === after) return late;
  // Skipped: the clock jumps somewhere in (late, early].
  let [low, high] = [late, early];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (zoneOffsetMs(timezone, middle) === before) low = middle;
    else high = middle;
  }
  return high;
}

function formatOf(timezone: string): Intl.DateTimeFormat {
  let format = formats.get(timezone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: timezone,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(timezone, format);
  }
  return format;
}
