/**
 * Which partitions a batch job has, and what they are called (partition.ts).
 *
 * Periods are calendar exact: a day of the zone has 23 or 25 hours when its clock changes.
 * Periods of a fixed size are multiples since 1970 and are named in UTC, so that the hour that
 * repeats has two names; days, weeks and months are named by the wall of the zone. Names of one
 * job are all written alike and sort by time; names of weeks are those of ISO 8601 (2027-01-01 is
 * in `2026-W53`).
 */
import type { PartitionDefinition } from '../definitions/batch-job.ts';
import { CalendarGrid } from '../engine/windows/calendar-grid.ts';
import { FixedGrid, type PaneGrid } from '../engine/windows/pane-grid.ts';
import { zoneOffsetMs } from '../engine/windows/time-zone.ts';
import { type WindowSize, windowSizeOf } from '../engine/windows/window-size.ts';
import { RunnelError } from '../errors.ts';
import { epochMs } from '../ids.ts';
import { limits } from '../limits.ts';
import { periodId, periodInstant, periodShape } from './partition-id.ts';
import type { Partition } from './partition.ts';

/** What a key may be made of: it stands in ids, subjects of events and file names. */
export const PARTITION_KEY = /^[A-Za-z0-9._:+-]{1,120}$/;

/** Null: a job without partitions. */
type Definition = PartitionDefinition | null;

/**
 * What runs that stand for `atMs` cover: the newest whole period that ended at or before it, for
 * each key; one in all for a job without keys. Without periods `[at, at)`: a later run with the
 * same key is not the same work (`covers`).
 */
export function partitionsAt(definition: Definition, atMs: number): readonly Partition[] {
  const periods = periodsOf(definition);
  const period = periods === null ? instant(definition, atMs) : periods.endedBy(atMs);
  return keyed(definition, period);
}

/**
 * Partitions that begin in `[fromMs, toMs)` and have ended by `nowMs`, oldest first; of a job with
 * keys alone, each key once.
 *
 * @throws {RunnelError} `partitions_none` for a job without partitions, `partitions_too_many`
 * beyond `limits.backfillPartitionsMax`.
 */
export function partitionsBetween(
  definition: Definition,
  fromMs: number,
  toMs: number,
  nowMs: number,
): readonly Partition[] {
  if (definition === null) {
    throw new RunnelError('partitions_none', 'the job has no partitions to choose from', {
      hint: 'give it `partition: { every: 1d }`, or run it once',
    });
  }
  const periods = periodsOf(definition);
  if (periods === null) return fromMs < toMs ? keyed(definition, instant(definition, fromMs)) : [];
  const found: Partition[] = [];
  for (let period = periods.from(fromMs); ; period = periods.from(period.end)) {
    if (period.start >= toMs || period.end > nowMs) return found;
    found.push(...keyed(definition, period));
    if (found.length > limits.backfillPartitionsMax) throw tooMany();
  }
}

/**
 * The partition of a name; `nowMs` is what a name without a period stands for.
 *
 * @throws {RunnelError} `partition_unknown`: what a name of this job looks like.
 */
export function partitionNamed(definition: Definition, id: string, nowMs: number): Partition {
  if (definition === null) {
    const at = periodInstant('instant', id, 'UTC');
    if (at === undefined) throw unknown(id, 'the job has no partitions: leave it out');
    return keyed(definition, instant(definition, at))[0]!;
  }
  const [key, name] = definition.kind === 'keys' ? split(id) : [null, id];
  if (definition.kind === 'keys' && !definition.keys.includes(key ?? '')) {
    const shown = definition.keys.slice(0, 10).join(', ');
    throw unknown(id, `it begins with one of the job's keys: ${shown}`);
  }
  const periods = periodsOf(definition);
  if (periods === null) {
    if (name !== null) throw unknown(id, `for example ${key}`);
    return withKey(instant(definition, nowMs), key);
  }
  const example = keyed(definition, periods.endedBy(nowMs))[0]!.id;
  const at = name === null ? undefined : periodInstant(periods.shape, name, definition.timezone);
  if (at === undefined) throw unknown(id, `for example ${example}`);
  const period = periods.around(at);
  if (period.id !== name) {
    throw unknown(id, `no period begins there; the one around it is ${period.id}`);
  }
  return withKey(period, key);
}

/**
 * Whether the completion of one is the completion of the other. Of a key without periods the name
 * stays and only the instant tells one run's work from the next one's.
 */
export function covers(completed: Partition, asked: Partition): boolean {
  return completed.id === asked.id && completed.end >= asked.end;
}

class Periods {
  readonly shape: ReturnType<typeof periodShape>;
  readonly #grid: PaneGrid;
  readonly #timezone: string;

  constructor(size: WindowSize, timezone: string) {
    this.#timezone = timezone;
    this.shape = periodShape(size);
    this.#grid =
      size.kind === 'fixed'
        ? new FixedGrid(size.ms, size.ms, 0)
        : new CalendarGrid(size.unit, size.count, 0, timezone);
  }

  /** The one that contains the instant. */
  around(timeMs: number): Partition {
    this.#grid.locate(timeMs);
    const { startMs, endMs } = this.#grid;
    const id = periodId(this.shape, startMs, this.#timezone);
    return partition(id, startMs, endMs, this.#timezone);
  }

  endedBy(timeMs: number): Partition {
    this.#grid.locate(timeMs);
    return this.around(this.#grid.startMs - 1);
  }

  /** The first that begins at or after the instant. */
  from(timeMs: number): Partition {
    const around = this.around(timeMs);
    return around.start === timeMs ? around : this.around(around.end);
  }
}

/** Null for a job whose runs have no period. */
function periodsOf(definition: Definition): Periods | null {
  if (definition === null || definition.every === null) return null;
  const size = windowSizeOf(definition.every);
  if (size !== undefined) return new Periods(size, definition.timezone);
  throw new RunnelError('definition_invalid', `"${definition.every}" is no size of a partition`, {
    hint: 'for example 1h, 1d, 1w or 1mo',
  });
}

function instant(definition: Definition, atMs: number): Partition {
  const timezone = definition?.timezone ?? 'UTC';
  return partition(periodId('instant', atMs, timezone), atMs, atMs, timezone);
}

function partition(id: string, startMs: number, endMs: number, timezone: string): Partition {
  const date = new Date(startMs + zoneOffsetMs(timezone, startMs)).toISOString().slice(0, 10);
  return { id, key: null, start: epochMs(startMs), end: epochMs(endMs), timezone, date };
}

function keyed(definition: Definition, period: Partition): readonly Partition[] {
  if (definition?.kind !== 'keys') return [period];
  return definition.keys.map((key) => withKey(period, key));
}

function withKey(period: Partition, key: string | null): Partition {
  if (key === null) return period;
  const id = period.start === period.end ? key : `${key}/${period.id}`;
  return { ...period, id, key };
}

function split(id: string): readonly [string, string | null] {
  const slash = id.indexOf('/');
  return slash < 0 ? [id, null] : [id.slice(0, slash), id.slice(slash + 1)];
}

function unknown(id: string, hint: string): RunnelError {
  return new RunnelError('partition_unknown', `the job has no partition "${id}"`, { hint });
}

function tooMany(): RunnelError {
  const message = `the range has more than ${limits.backfillPartitionsMax} partitions`;
  return new RunnelError('partitions_too_many', message, { hint: 'choose a shorter range' });
}
