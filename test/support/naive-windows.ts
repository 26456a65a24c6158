/**
 * Windows and sessions by brute force over the full list of records: nothing is incremental,
 * nothing is shared with the engine but the definitions of DESIGN.md §7. The engine's last values
 * must equal these.
 *
 * A record is late when, with the watermark of the records before it, every window that it would
 * join is past its lateness. The watermark is the largest event time so far − out-of-orderness − 1.
 */
export interface NaiveRecord {
  readonly key: string;
  readonly timeMs: number;
  readonly value: number;
}

export interface NaiveWindow {
  readonly key: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly values: readonly number[];
}

export interface NaiveResult {
  readonly windows: readonly NaiveWindow[];
  readonly late: number;
}

export interface NaiveTime {
  readonly outOfOrdernessMs: number;
  readonly latenessMs: number;
}

/** Watermark before each record; −Infinity before the first. */
function watermarks(records: readonly NaiveRecord[], outOfOrdernessMs: number): number[] {
  return records.map((_, index) => {
    const times = records.slice(0, index).map((record) => record.timeMs);
    return Math.max(-Infinity, ...times) - outOfOrdernessMs - 1;
  });
}

export function naiveHopping(
  records: readonly NaiveRecord[],
  window: { readonly sizeMs: number; readonly everyMs: number; readonly offsetMs: number },
  time: NaiveTime,
): NaiveResult {
  const before = watermarks(records, time.outOfOrdernessMs);
  const members = new Map<string, { key: string; startMs: number; values: number[] }>();
  let late = 0;
  for (const [index, record] of records.entries()) {
    const open = startsOf(record.timeMs, window).filter(
      (startMs) => startMs + window.sizeMs - 1 + time.latenessMs > before[index]!,
    );
    if (open.length === 0) late += 1;
    for (const startMs of open) {
      const id = `${record.key} ${startMs}`;
      const member = members.get(id) ?? { key: record.key, startMs, values: [] };
      member.values.push(record.value);
      members.set(id, member);
    }
  }
  const windows = [...members.values()].map(({ key, startMs, values }) => ({
    key,
    startMs,
    endMs: startMs + window.sizeMs,
    values,
  }));
  return { windows: sorted(windows), late };
}

/** Every window start that covers a time, by trying all of them. */
function startsOf(
  timeMs: number,
  window: { readonly sizeMs: number; readonly everyMs: number; readonly offsetMs: number },
): number[] {
  const starts: number[] = [];
  for (let startMs = timeMs; startMs > timeMs - window.sizeMs; startMs -= 1) {
    if ((startMs - window.offsetMs) % window.everyMs === 0) starts.push(startMs);
  }
  return starts;
}

/**
 * Sessions: of the records of a key that are not late, the connected groups with steps of at most
 * `gap`. A record is late when, joined with those before it that are still open, it makes a session
 * that is past its lateness.
 */
export function naiveSessions(
  records: readonly NaiveRecord[],
  gapMs: number,
  time: NaiveTime,
): NaiveResult {
  const before = watermarks(records, time.outOfOrdernessMs);
  let closed: NaiveWindow[] = [];
  let open: NaiveRecord[] = [];
  let late = 0;
  for (const [index, record] of records.entries()) {
    const groups = sessionsOf(open, gapMs);
    const isOver = (session: NaiveWindow): boolean =>
      session.endMs + time.latenessMs <= before[index]!;
    closed = [...closed, ...groups.filter(isOver)];
    open = open.filter((each) => !groups.some((group) => isOver(group) && covers(group, each)));
    const own = sessionsOf([...open, record], gapMs).find((group) => covers(group, record))!;
    if (isOver(own)) late += 1;
    else open.push(record);
  }
  return { windows: sorted([...closed, ...sessionsOf(open, gapMs)]), late };
}

function covers(session: NaiveWindow, record: NaiveRecord): boolean {
  return (
    session.key === record.key && record.timeMs >= session.startMs && record.timeMs <= session.endMs
  );
}

function sessionsOf(records: readonly NaiveRecord[], gapMs: number): NaiveWindow[] {
  const windows: NaiveWindow[] = [];
  for (const key of new Set(records.map((record) => record.key))) {
    const own = records.filter((record) => record.key === key);
    const ordered = own.toSorted((left, right) => left.timeMs - right.timeMs);
    let group: NaiveRecord[] = [];
    for (const record of ordered) {
      const last = group.at(-1);
      if (last !== undefined && record.timeMs - last.timeMs > gapMs) {
        windows.push(windowOf(group, gapMs));
        group = [];
      }
      group.push(record);
    }
    if (group.length > 0) windows.push(windowOf(group, gapMs));
  }
  return windows;
}

function windowOf(group: readonly NaiveRecord[], gapMs: number): NaiveWindow {
  return {
    key: group[0]!.key,
    startMs: group[0]!.timeMs,
    endMs: group.at(-1)!.timeMs + gapMs,
    values: group.map((record) => record.value),
  };
}

function sorted(windows: readonly NaiveWindow[]): NaiveWindow[] {
  return windows.toSorted(
    (left, right) =>
      left.endMs - right.endMs ||
      left.startMs - right.startMs ||
      (left.key < right.key ? -1 : left.key > right.key ? 1 : 0),
  );
}
