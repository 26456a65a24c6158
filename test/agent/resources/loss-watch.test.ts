/** What the agent lost becomes a condition with cause and count, and ends after a quiet time. */
import { beforeEach, describe, expect, it } from 'vitest';
import { limits } from '@runnel/shared/limits.ts';
import type { JobReport, SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { type Counted, LossWatch } from '@runnel/agent/resources/loss-watch.ts';
import { jobReportOf, sourceReportOf } from '../../support/device.ts';
import { desired } from '../streams/counting-job.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { openSite } from '../streams/site.ts';

let clock: ManualClock;
let conditions: Conditions;
let watch: LossWatch;
beforeEach(() => {
  clock = new ManualClock(1_000_000);
  conditions = new Conditions(clock);
  watch = new LossWatch({ clock, conditions });
});

const counted = (more: Partial<Counted>): Counted => {
  return { jobs: [], sources: [], counters: {}, ...more };
};
const press = (more: Partial<JobReport>): Counted => {
  return counted({ jobs: [jobReportOf({ name: 'press', version: 1, ...more })] });
};
const source = (id: string, dropped: SourceReport['dropped']): SourceReport => {
  return sourceReportOf({ id, label: 'press/+/rms', dropped });
};
const told = (): string[] => conditions.list().map(({ type, message }) => `${type}: ${message}`);

describe('a loss', () => {
  it('is told on its axis, with each cause and its count since it began', () => {
    watch.check(press({ dropped: { keys_max: 7 } }));
    watch.check(press({ dropped: { keys_max: 9 } }));
    clock.pass(10_000);
    watch.check(
      press({ dropped: { keys_max: 10, late: 40 }, deadLetters: 2, deadLettersBy: { 'x: y': 2 } }),
    );
    expect(told()).toEqual([
      'dropped/jobs: 45 records were lost or set aside: press: late (40), press: keys_max (3), ' +
        'press: dead letters, x: y (2)',
    ]);
    expect(conditions.list()).toMatchObject([
      { axis: 'jobs', severity: 'warning', reason: 'RecordsDropped', since: 1_000_000 },
    ]);
  });

  it('of every kind that the agent counts is one', () => {
    const kinds: readonly (readonly [string, Partial<Counted>])[] = [
      ['sources', { sources: [source('a', { payload_too_large: 1 })] }],
      ['sources', { sources: [source('a', { discarded_qos0: 1 })] }],
      ['sources', { sources: [source('a', { truncated_line: 1 })] }],
      ['sources', { sources: [source('a', { discarded_reading: 1 })] }],
      ['sources', { counters: { broker_retained_full: 1 } }],
      ['sources', { counters: { broker_subscriber_queue_full: 1 } }],
      ['storage', { counters: { outbox_rows_lost: 1 } }],
      ['storage', { counters: { outbox_gap_rows: 1 } }],
      ['storage', { counters: { dead_letters_dropped: 1 } }],
      ['jobs', { counters: { sink_rows_lost: 1 } }],
      ['jobs', press({ dropped: { journal_skipped: 1 } })],
      ['jobs', press({ dropped: { windows_max: 1 } })],
      ['jobs', press({ dropped: { late: 1 } })],
      ['jobs', press({ deadLetters: 1 })],
    ];
    for (const [axis, lost] of kinds) {
      const own = new Conditions(clock);
      const fresh = new LossWatch({ clock, conditions: own });
      fresh.check(press({}));
      fresh.check(counted(lost));
      const types = own.list().map(({ type }) => type);
      expect(types, JSON.stringify(lost)).toEqual([`dropped/${axis}`]);
      expect(own.list()[0]?.message).toMatch(/^1 record was lost or set aside: .+ \(1\)$/);
    }
  });

  it('is none where a job passes records by on purpose, or only forgets what it remembered', () => {
    watch.check(press({}));
    const dropped = { duplicate: 5, identities_max: 5, keys_forgotten: 5, topics_max: 5 };
    watch.check(press({ dropped, late: 9 }));
    watch.check(counted({ counters: { broker_connections_max: 3, outbox_rows_sent: 9 } }));
    expect(told()).toEqual([]);
  });
});

describe('the condition', () => {
  it('clears after a quiet time, and a trickle keeps it with its since', () => {
    const lose = (keys_max: number): void => watch.check(press({ dropped: { keys_max } }));
    lose(0);
    lose(1);
    for (let count = 2; count < 5; count += 1) {
      clock.pass(limits.lossQuietMs - 1);
      lose(count);
      expect(conditions.list()).toMatchObject([{ since: 1_000_000 }]);
    }
    // Somebody sets the clock: the quiet time goes by the monotonic one.
    clock.set(9_000_000_000);
    lose(4);
    expect(told()).toHaveLength(1);
    clock.pass(limits.lossQuietMs);
    lose(4);
    expect(told()).toEqual([]);
    lose(5);
    expect(told()[0]).toContain('1 record was lost or set aside: press: keys_max (1)');
  });

  it('names the greatest causes and counts the others', () => {
    const names = Array.from({ length: limits.lossCausesToldMax + 5 }, (_, at) => `s${at}`);
    const lost = names.map((id, at) => source(id, { [`reason_${id}`]: at + 1 }));
    watch.check(counted({ sources: lost }));
    const [message = ''] = told();
    expect(message).toMatch(/^dropped\/sources: 120 records were .*reason_s14 \(15\)/);
    expect(message).toMatch(/and 5 more causes$/);
  });
});

describe('totals', () => {
  it('of a job that was there before are no news, nor is a count that is taken back', () => {
    watch.check(press({ dropped: { late: 500 } }));
    watch.check(press({ dropped: { late: 490 } }));
    watch.check(press({ dropped: { late: 500 } }));
    // Without a version it has no totals; with one they come back.
    watch.check(press({ version: null, dropped: {} }));
    watch.check(press({ dropped: { late: 500 } }));
    expect(told()).toEqual([]);
  });

  it('of a source that was made anew begin at zero; two of one label are told apart', () => {
    const both = (a: number, b: number): void => {
      const sources = [source('a', { truncated_line: a }), source('b', { truncated_line: b })];
      watch.check(counted({ sources }));
    };
    both(5, 1);
    both(2, 1);
    expect(told()[0]).toContain('press/+/rms: truncated_line (8)');
  });

  it('of a real agent are told once, and not again by the next process', async () => {
    const first = await openSite();
    const look = (site: typeof first, by = watch): void => {
      const { runtime } = site;
      const jobs = runtime.jobReports();
      by.check({ jobs, sources: runtime.sourceReports(), counters: runtime.counters() });
    };
    look(first);
    await first.runtime.applyJobs([desired('a')]);
    look(first);
    first.source().give({ payload: '{"v":' }, { payload: { v: 1 } }, { payload: 'x' });
    await first.settled();
    look(first);
    expect(told()).toEqual([
      'dropped/jobs: 2 records were lost or set aside: a: dead letters, in: bad_json (2)',
    ]);
    await first.close();

    const again = await openSite({ dataDir: first.dataDir });
    const own = new Conditions(clock);
    const next = new LossWatch({ clock, conditions: own });
    look(again, next);
    await again.runtime.applyJobs([desired('a')]);
    look(again, next);
    expect(again.runtime.jobReports()).toMatchObject([{ deadLetters: 2 }]);
    expect(own.list()).toEqual([]);
  });
});
