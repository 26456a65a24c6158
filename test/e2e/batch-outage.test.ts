/**
 * An agent that is off for three days of schedules, with a whole runtime on a real store whose
 * clock the test owns. Whatever policies meet, the sum is right: every time that the schedule names
 * is one run, or has its place in a count that is shown and told.
 *
 *   before ──▶ │ off: three days │ ──▶ after
 *   10 11 12 ✂ 13 14 …  … 10 11 ✂ 12 (on time)
 *          └─ its run is still active
 */
import { describe, expect, it } from 'vitest';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import {
  type BatchSite,
  desiredJob,
  openBatchSite,
  runnersWith,
} from '../agent/batch/batch-site.ts';
import { ManualClock } from '../agent/streams/manual-clock.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.parse('2026-11-19T09:30:00Z');

/** Tasks wait until they are let go; a stop ends them. */
class Gate {
  isOpen = false;
  readonly runners = runnersWith(async (_value, _config, { signal }) => {
    await waitFor('the gate', () => this.isOpen || signal.aborted, 60_000);
    signal.throwIfAborted();
  });
}

/** What the lives of one agent reported, over all of them. */
class Ledger {
  readonly runs = new Map<string, RunReport>();
  told = 0;
  #seen = new Set<Row>();

  async read(site: BatchSite): Promise<void> {
    for (const row of await site.rows()) {
      if (this.#seen.has(row)) continue;
      this.#seen.add(row);
      if (row.kind === 'run') this.runs.set(row.dataset, row.value as RunReport);
      if (row.dataset === 'schedule_skipped') this.told += (row.value as { count: number }).count;
    }
  }

  /** The times of the schedule that runs stand for. */
  times(): number[] {
    return [...this.runs.values()].map(({ at }) => at).toSorted((a, b) => a - b);
  }

  of(trigger: RunReport['trigger']): RunReport[] {
    return [...this.runs.values()].filter((run) => run.trigger === trigger);
  }
}

interface Device {
  readonly dataDir: string;
  readonly gate: Gate;
  readonly ledger: Ledger;
  readonly job: ReturnType<typeof desiredJob>;
}

function device(schedule: string, more = ''): Device {
  const yaml = `schedule: { ${schedule} }\n${more}\ntasks: [{ id: work, value: { value: 1 } }]\n`;
  const job = desiredJob('often', yaml);
  return { dataDir: tempDir('outage'), gate: new Gate(), ledger: new Ledger(), job };
}

async function power({ dataDir, gate, job }: Device, clock: ManualClock): Promise<BatchSite> {
  const site = await openBatchSite({ dataDir, clock, settings: { runners: gate.runners } });
  await site.runtime.applyJobs([job]);
  return site;
}

function skippedOf(site: BatchSite): Readonly<Record<string, number>> {
  return site.runtime.jobReports()[0]!.batch!.skipped;
}

const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

/** Until as many times are accounted for as the schedule has named, and all runs have ended. */
async function accounted(site: BatchSite, { ledger }: Device, named: number): Promise<void> {
  await waitFor(
    `${named} times to be accounted for`,
    async () => {
      await ledger.read(site);
      const isQuiet = [...ledger.runs.values()].every(({ endedAt }) => endedAt !== null);
      return isQuiet && ledger.runs.size + sumOf(skippedOf(site)) === named;
    },
    20_000,
  ).catch((error: unknown) => {
    const skipped = JSON.stringify(skippedOf(site));
    const states = [...ledger.runs.values()].map(({ state, at }) => `${state} ${at}`);
    throw new Error(`${states.length} runs, ${skipped}: ${states.join()}`, { cause: error });
  });
}

/** Whole hours in `(from, to]`. */
function hours(from: number, to: number): number[] {
  const times: number[] = [];
  for (let at = Math.ceil(from / HOUR) * HOUR; at <= to; at += HOUR) if (at > from) times.push(at);
  return times;
}

const MISFIRES = ['runOnce', 'skip', 'runAll'] as const;
const OVERLAPS = ['skip', 'bufferOne', 'bufferAll', 'cancelOther', 'allow'] as const;
const ALL = MISFIRES.flatMap((misfire) => OVERLAPS.map((overlap) => [misfire, overlap] as const));

describe('off for three days, with a run that was active', () => {
  it.each(ALL)('misfire: %s, overlap: %s', async (misfire, overlap) => {
    const box = device(`cron: "0 * * * *", misfire: ${misfire}, overlap: ${overlap}`);
    const off = START + 3 * HOUR;
    const on = off + 3 * DAY - HOUR / 2;
    const clock = new ManualClock(START);
    box.gate.isOpen = true;
    const before = await power(box, clock);
    for (const [count] of hours(START, off).entries()) {
      box.gate.isOpen = count < 2;
      clock.pass(HOUR);
      await waitFor('the run of the hour', async () => {
        await box.ledger.read(before);
        const { activeRuns } = before.runtime.jobReports()[0]!.batch!;
        return box.ledger.runs.size === count + 1 && activeRuns === (count < 2 ? 0 : 1);
      });
    }
    await before.close();
    await box.ledger.read(before);
    const missed = hours(off, on - 1);
    const after = await power(box, new ManualClock(on));
    const named = hours(START, on);
    // Seen by the schedule before anything of it has run.
    await waitFor('the outage to be seen', async () => {
      await box.ledger.read(after);
      return box.ledger.runs.size + sumOf(skippedOf(after)) === named.length;
    });
    box.gate.isOpen = true;
    await accounted(after, box, named.length);
    const { ledger } = box;
    const skipped = skippedOf(after);
    expect(new Set(ledger.times()).size, 'one run a time').toBe(ledger.runs.size);
    expect(named).toEqual(expect.arrayContaining(ledger.times()));
    const made = { runOnce: 1, skip: 0, runAll: missed.length }[misfire];
    // With overlap: skip the run that was active stands in the way of the one for the newest.
    const left = misfire === 'runOnce' && overlap === 'skip' ? 0 : made;
    expect(ledger.of('catchUp').map(({ at }) => at)).toEqual(missed.slice(missed.length - left));
    expect(skipped.misfire ?? 0).toBe(missed.length - made);
    const cancelled = [...ledger.runs.values()].filter(({ state }) => state === 'cancelled').length;
    expect(cancelled > 0, `${cancelled} cancelled`).toBe(overlap === 'cancelOther');
    await waitFor('all that was skipped to be told', async () => {
      await ledger.read(after);
      return ledger.told === sumOf(skipped);
    });
  });
});

describe('a change of the clock of the zone inside the outage', () => {
  it.each([
    // 02:30 is skipped on the 29th: once, at the first instant after the gap.
    [
      '2026-03-27T12:00:00Z',
      ['2026-03-28T01:30Z', '2026-03-29T01:00Z', '2026-03-30T00:30Z'],
      ['2026-03-27', '2026-03-28', '2026-03-29'],
    ],
    // 02:30 comes twice on the 25th: once, at the first.
    [
      '2026-10-23T12:00:00Z',
      ['2026-10-24T00:30Z', '2026-10-25T00:30Z', '2026-10-26T01:30Z'],
      ['2026-10-23', '2026-10-24', '2026-10-25'],
    ],
  ])('from %s on each day is one run', async (from, times, days) => {
    const box = device(
      'cron: "30 2 * * *", timezone: Europe/Paris, misfire: runAll',
      'partition: { every: 1d }',
    );
    box.gate.isOpen = true;
    const off = Date.parse(from);
    await (await power(box, new ManualClock(off))).close();
    const site = await power(box, new ManualClock(off + 3 * DAY));
    await accounted(site, box, times.length);
    const runs = box.ledger.of('catchUp').toSorted((a, b) => a.at - b.at);
    expect(runs.map(({ at }) => at)).toEqual(times.map((each) => Date.parse(each)));
    expect(runs.map(({ partition }) => partition)).toEqual(days);
    expect(skippedOf(site)).toEqual({});
  });
});

describe('a device without a clock of its own', () => {
  it('that wakes in 1970 goes on from when it was last on, and catches up when told', async () => {
    const box = device('cron: "0 * * * *", misfire: runAll');
    box.gate.isOpen = true;
    const first = new ManualClock(START);
    const before = await power(box, first);
    first.pass(HOUR);
    await accounted(before, box, 1);
    await before.close();
    const clock = new ManualClock(5000);
    const site = await power(box, clock);
    const held = (): boolean => site.conditions.list().some(({ type }) => type === 'batch/clock');
    await waitFor('the clock to be distrusted', held);
    // It counts on from 10:30 at the latest: 11:00 comes within the hour, once.
    clock.pass(HOUR);
    await accounted(site, box, 2);
    const on = START + 3 * DAY;
    clock.set(on);
    clock.pass(30_000);
    const named = hours(START, on).length;
    await accounted(site, box, named);
    expect(held()).toBe(false);
    expect(box.ledger.times()).toEqual(hours(START, on));
    expect(skippedOf(site)).toEqual({});
  });

  it('whose clock goes back runs no time twice and stands still for none', async () => {
    const box = device('cron: "0 * * * *", misfire: runAll');
    box.gate.isOpen = true;
    const clock = new ManualClock(START);
    const site = await power(box, clock);
    for (let count = 1; count <= 3; count++) {
      clock.pass(HOUR);
      await accounted(site, box, count);
    }
    // 12:30 becomes 09:30. Time goes on from 12:30 until the clock is believed, ten minutes later.
    clock.set(START);
    clock.pass(10 * 60_000);
    clock.pass(60_000);
    for (let hour = 0; hour < 8; hour++) {
      clock.pass(HOUR);
      await waitFor('the hour to be accounted for', async () => {
        await box.ledger.read(site);
        const { activeRuns, queuedRuns } = site.runtime.jobReports()[0]!.batch!;
        const count = box.ledger.runs.size + sumOf(skippedOf(site));
        return count >= 3 + hour + 1 && activeRuns + queuedRuns === 0;
      });
    }
    const seen = hours(START, clock.now());
    expect(box.ledger.times()).toEqual(seen);
    // 10:00, 11:00 and 12:00 were named again, and had been done.
    expect(skippedOf(site)).toEqual({ done: 3 });
    const notes = (await site.rows()).filter(({ kind }) => kind === 'event');
    expect(notes.map(({ dataset }) => dataset)).toContain('schedule_clock_back');
  });
});
