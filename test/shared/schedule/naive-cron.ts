/**
 * Fire times as a person would find them who walks through time minute by minute with a clock on
 * the wall: no arithmetic on offsets, nothing shared with the code under test.
 */
export interface NamedTimes {
  readonly minutes: ReadonlySet<number>;
  /** Null: every hour. */
  readonly hours: ReadonlySet<number> | null;
  /** The hours are those of an interval, not times of the day. */
  readonly followsElapsedTime: boolean;
  /** Days of the month; null: every day. */
  readonly days: ReadonlySet<number> | null;
}

const MINUTE = 60_000;
const DAY = 86_400_000;
const walls = new Map<string, ReadonlyMap<number, number>>();

/** In `(fromMs, toMs]`. */
export function naiveFires(
  named: NamedTimes,
  timezone: string,
  fromMs: number,
  toMs: number,
): number[] {
  const shown = wallsShown(timezone, fromMs - DAY, toMs + 2 * DAY);
  const fires = new Set<number>();
  const { minutes, hours, days, followsElapsedTime } = named;
  const isNamed = (wall: number): boolean =>
    minutes.has((wall / MINUTE) % 60) &&
    (days === null || days.has(new Date(wall).getUTCDate())) &&
    (hours === null || hours.has(Math.floor(wall / (60 * MINUTE)) % 24));
  if (followsElapsedTime) {
    for (const [at, wall] of shown) if (isNamed(wall)) fires.add(at);
  } else {
    const first = new Map<number, number>();
    for (const [at, wall] of shown) if (!first.has(wall)) first.set(wall, at);
    const all = [...first.keys()].sort((a, b) => a - b);
    let next: number | undefined;
    for (let wall = all.at(-1)!; wall >= all[0]!; wall -= MINUTE) {
      // What the wall never shows fires with the first time after it that it does.
      next = first.get(wall) ?? next;
      if (isNamed(wall) && next !== undefined) fires.add(next);
    }
  }
  return [...fires].filter((at) => at > fromMs && at <= toMs).sort((a, b) => a - b);
}

/** What the wall shows at each minute of `[fromMs, toMs)`, in order. */
function wallsShown(timezone: string, fromMs: number, toMs: number): ReadonlyMap<number, number> {
  const key = `${timezone} ${fromMs} ${toMs}`;
  const known = walls.get(key);
  if (known !== undefined) return known;
  const shown = new Map<number, number>();
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: timezone,
    dateStyle: 'short',
    timeStyle: 'short',
  });
  for (let at = fromMs; at < toMs; at += MINUTE) {
    shown.set(at, Date.parse(`${format.format(at).replace(' ', 'T')}Z`));
  }
  walls.set(key, shown);
  return shown;
}
