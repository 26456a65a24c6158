/**
 * Tells people of times that started no run: each stretch of missed ones once, with first, last and
 * count; what happens at every fire (overlap, partitions that are done) at most once an hour, with
 * how many there were since.
 */
import type { ScheduleNote } from '../schedule/schedule-state.ts';
import type { BatchEvent } from './run-reports.ts';

const REPEATED: ReadonlySet<string> = new Set(['overlap', 'same_partition', 'queue_full']);
const TOLD_AGAIN_MS = 3_600_000;

interface Told {
  readonly at: number;
  since: number;
}

export class SkipEvents {
  readonly #told = new Map<string, Told>();

  of(
    job: string,
    version: number,
    notes: readonly ScheduleNote[],
    skipped: Readonly<Record<string, number>>,
    now: number,
  ): BatchEvent[] {
    const of = { job, version };
    const events = notes
      .filter((note) => note.kind !== 'skipped' || note.reason !== 'coalesced')
      .map((note) => ({ ...of, ...noteEvent(note) }));
    for (const [reason, count] of Object.entries(skipped)) {
      if (!REPEATED.has(reason)) continue;
      const told = this.#told.get(`${job} ${reason}`);
      if (told !== undefined && now - told.at < TOLD_AGAIN_MS && now >= told.at) {
        told.since += count;
        continue;
      }
      const sum = count + (told?.since ?? 0);
      this.#told.set(`${job} ${reason}`, { at: now, since: 0 });
      const message = `${sum} times of the schedule started no run: ${reason}`;
      const fields = { reason, count: sum };
      events.push({ ...of, type: 'schedule_skipped', severity: 'warning', message, fields });
    }
    return events;
  }
}

type EventOfNote = Omit<BatchEvent, 'job' | 'version'>;

function noteEvent(note: ScheduleNote): EventOfNote {
  if (note.kind === 'skipped') {
    const { reason, count, firstMs, lastMs } = note;
    const message =
      `${count} times of the schedule started no run (${reason}), ` +
      `from ${isoText(firstMs)} to ${isoText(lastMs)}`;
    const fields = { reason, count, first: firstMs, last: lastMs };
    return { type: 'schedule_skipped', severity: 'warning', message, fields };
  }
  if (note.kind === 'clockBack') {
    const { accountedToMs, nowMs } = note;
    const message = `the clock went back to ${isoText(nowMs)}; the schedule goes on from there`;
    const fields = { accountedTo: accountedToMs, now: nowMs };
    return { type: 'schedule_clock_back', severity: 'warning', message, fields };
  }
  const message = `the device learned the time, ${isoText(note.nowMs)}: its schedule begins`;
  return { type: 'schedule_clock_known', severity: 'info', message, fields: { now: note.nowMs } };
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
