/**
 * The agent was off, or its clock jumped: each policy does what it says, and nothing is lost
 * silently: every time the schedule names is a run or has its place in a count.
 */
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { BatchClock } from '@runnel/agent/batch/schedule/batch-clock.ts';
import { newScheduleRecord } from '@runnel/agent/batch/schedule/schedule-record.ts';
import { advance, nextFireMs } from '@runnel/agent/batch/schedule/schedule-state.ts';
import type { Misfire, ScheduleTrigger } from '@runnel/shared/definitions/batch-job.ts';
import { durationMs, epochMs } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import { fireTimesOf, isTimeTrigger } from '@runnel/shared/schedule/fire-times.ts';
import {
  HOUR,
  DAY,
  at,
  atTimes,
  cron,
  daily,
  dueOf,
  every,
  known,
  plan,
  running,
} from './schedules.ts';
import { unknown, utc } from './schedules.ts';

const OFF = at('2026-11-19T12:00:00Z');
const ON = at('2026-11-22T12:00:00Z');

describe('off for three days', () => {
  const triggers: Record<string, ScheduleTrigger> = {
    cron: cron('15 0 * * *'),
    every: every('6h'),
    at: atTimes(at('2026-11-20T08:00:00Z'), at('2026-11-21T08:00:00Z')),
  };
  const cases: readonly (readonly [string, Misfire, string[], number])[] = [
    ['cron', 'runOnce', ['catchUp 2026-11-22T00:15Z'], 2],
    ['cron', 'skip', [], 3],
    [
      'cron',
      'runAll',
      ['catchUp 2026-11-20T00:15Z', 'catchUp 2026-11-21T00:15Z', 'catchUp 2026-11-22T00:15Z'],
      0,
    ],
    // 12:00 is now: on time, whatever the policy says of what was missed.
    ['every', 'runOnce', ['catchUp 2026-11-22T06:00Z', 'schedule 2026-11-22T12:00Z'], 10],
    ['every', 'skip', ['schedule 2026-11-22T12:00Z'], 11],
    ['at', 'runOnce', ['catchUp 2026-11-21T08:00Z'], 1],
    ['at', 'skip', [], 2],
    ['at', 'runAll', ['catchUp 2026-11-20T08:00Z', 'catchUp 2026-11-21T08:00Z'], 0],
  ];
  test.each(cases)('%s with misfire: %s', (kind, misfire, due, skipped) => {
    const of = plan([triggers[kind]!], { misfire });
    const step = advance(of, running(of, OFF), { kind: 'tick' }, known(ON));
    expect(dueOf(step)).toEqual(due);
    expect(step.skipped).toEqual(skipped === 0 ? {} : { misfire: skipped });
    expect(step.notes).toHaveLength(skipped === 0 ? 0 : 1);
    expect(advance(of, step.record, { kind: 'tick' }, known(ON)).due).toEqual([]);
  });

  it('every with misfire: runAll makes them all, oldest first, what is on time last', () => {
    const of = plan([every('6h')], { misfire: 'runAll' });
    const step = advance(of, running(of, OFF), { kind: 'tick' }, known(ON));
    expect(step.due).toHaveLength(12);
    expect(dueOf(step)[0]).toBe('catchUp 2026-11-19T18:00Z');
    expect(dueOf(step).at(-1)).toBe('schedule 2026-11-22T12:00Z');
  });

  it('the note says the first and the last time that were skipped', () => {
    const of = plan([cron('15 0 * * *')]);
    const { notes } = advance(of, running(of, OFF), { kind: 'tick' }, known(ON));
    expect(notes).toEqual([
      {
        kind: 'skipped',
        reason: 'misfire',
        count: 2,
        firstMs: at('2026-11-20T00:15:00Z'),
        lastMs: at('2026-11-21T00:15:00Z'),
      },
    ]);
  });

  it('each missed time covers its own partition', () => {
    const of = plan([cron('15 0 * * *')], { misfire: 'runAll', partition: daily });
    const { due } = advance(of, running(of, OFF), { kind: 'tick' }, known(ON));
    expect(due.map(({ partition }) => partition.id)).toEqual([
      '2026-11-19',
      '2026-11-20',
      '2026-11-21',
    ]);
  });
});

describe('how old a time may be', () => {
  test.each([
    [60_000, 'schedule'],
    [60_001, 'catchUp'],
  ])('%i ms after it: %s', (late, trigger) => {
    const of = plan([cron('0 12 * * *')]);
    const step = advance(of, running(of, OFF + 1), { kind: 'tick' }, known(OFF + DAY + late));
    expect(dueOf(step)).toEqual([`${trigger} 2026-11-20T12:00Z`]);
  });

  it('older than the window is counted, whatever the policy', () => {
    const of = plan([cron('0 * * * *')], {
      misfire: 'runAll',
      catchUpWindowMs: durationMs(2 * HOUR),
    });
    const step = advance(of, running(of, OFF), { kind: 'tick' }, known(ON + 1000));
    expect(dueOf(step)).toEqual(['catchUp 2026-11-22T11:00Z', 'schedule 2026-11-22T12:00Z']);
    expect(step.skipped).toEqual({ catch_up_window: 70 });
  });

  it('a catch-up is bounded: the newest run, the rest is counted', () => {
    const of = plan([every('1s')], { misfire: 'runAll' });
    const step = advance(of, running(of, OFF), { kind: 'tick' }, known(ON));
    const late = step.due.filter(({ trigger }) => trigger === 'catchUp');
    expect(late).toHaveLength(limits.scheduleCatchUpRunsMax);
    expect(step.due).toHaveLength(limits.scheduleCatchUpRunsMax + 61);
    expect(step.skipped).toEqual({ catch_up_max: 3 * 86_400 - step.due.length });
    expect(late.at(-1)!.at).toBe(ON - 61_000);
    const keys = plan([every('1s')], {
      misfire: 'runAll',
      partition: { kind: 'keys', keys: ['a', 'b', 'c', 'd'], every: null, timezone: 'UTC' },
    });
    const keyed = advance(keys, running(keys, OFF), { kind: 'tick' }, known(ON));
    expect(keyed.due.filter(({ trigger }) => trigger === 'catchUp')).toHaveLength(1000);
  });
});

describe('nothing is lost silently', () => {
  const misfire = fc.constantFrom<Misfire>('runOnce', 'skip', 'runAll');
  const trigger = fc.constantFrom(
    cron('*/7 * * * *'),
    cron('15 0 * * *'),
    cron('0 0 L * *'),
    every('10m'),
    every('1d'),
    atTimes(OFF + HOUR, OFF + DAY, ON + 20 * DAY),
  );
  const gaps = fc.array(fc.integer({ min: 1, max: 4 * DAY }), { minLength: 1, maxLength: 12 });

  it('over any outages every time is a run or counted once', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(trigger, { minLength: 1, maxLength: 3 }),
        misfire,
        gaps,
        (all, how, off) => {
          const of = plan(all, { misfire: how, catchUpWindowMs: durationMs(2 * DAY) });
          let record = running(of, OFF);
          let now = OFF;
          let [runs, skipped] = [0, 0];
          for (const gap of off) {
            now += gap;
            const step = advance(of, record, { kind: 'tick' }, known(now));
            record = step.record;
            runs += step.due.length;
            skipped += Object.values(step.skipped).reduce((sum, count) => sum + count, 0);
            expect(step.due.map((run) => run.at)).toEqual(
              step.due.map((run) => run.at).sort((a, b) => a - b),
            );
          }
          const named = all.filter(isTimeTrigger).map((each) => fireTimesOf(each).count(OFF, now));
          expect(runs + skipped).toBe(named.reduce((sum, count) => sum + count, 0));
        },
      ),
      { numRuns: 100 },
    );
  });
});

/** A device's clocks, as a test moves them. */
function device(wallMs: number, lastMs: number | null, isSynchronised = false) {
  const clocks = { wallMs, monotonicMs: 0 };
  const jumps: string[] = [];
  const clock = new BatchClock({
    clock: {
      now: () => epochMs(clocks.wallMs),
      monotonicMs: () => clocks.monotonicMs,
      sleep: () => Promise.resolve(),
      after: () => () => undefined,
    },
    lastMs,
    isSynchronised: () => isSynchronised,
    onJump: ({ fromMs, toMs }) => {
      jumps.push(`${fromMs === null ? 'unknown' : utc(fromMs)} → ${utc(toMs)}`);
    },
  });
  return {
    jumps,
    clock,
    pass(ms: number) {
      clocks.wallMs += ms;
      clocks.monotonicMs += ms;
      return clock.read();
    },
    set(wall: number) {
      clocks.wallMs = wall;
      return clock.read();
    },
  };
}

describe('a device that wakes in 1970', () => {
  it('with nothing stored runs what needs no calendar, learns the time without a flood', () => {
    const of = plan([every('10m'), cron('0 * * * *')], { misfire: 'runAll' });
    const box = device(1000, null);
    let time = box.clock.read();
    expect([time.known, box.clock.kind]).toEqual([false, 'unknown']);
    let record = newScheduleRecord(time.nowMs);
    expect(nextFireMs(of, record, time)).toBe(600_000);
    const step = advance(of, record, { kind: 'tick' }, box.pass(HOUR));
    expect(step.due.map(({ at: fire }) => fire)).toContain(600_000);
    expect(step.due).toHaveLength(6);
    time = box.set(ON);
    expect([time, box.clock.kind]).toEqual([known(ON), 'known']);
    expect(box.jumps).toEqual([`unknown → ${utc(ON)}`]);
    const learnt = advance(of, step.record, { kind: 'tick' }, time);
    expect([learnt.due, learnt.skipped]).toEqual([[], {}]);
    expect(learnt.notes).toEqual([{ kind: 'clockKnown', nowMs: ON }]);
    record = learnt.record;
    expect(nextFireMs(of, record, time)).toBe(ON + 600_000);
    expect(dueOf(advance(of, record, { kind: 'tick' }, box.pass(600_000)))).toEqual([
      'schedule 2026-11-22T12:10Z',
    ]);
  });

  it('with the last known time goes on from there, and catches up when it learns the time', () => {
    const of = plan([cron('15 0 * * *')], { partition: daily });
    const box = device(1000, OFF);
    let record = running(of, OFF);
    expect([box.clock.read(), box.clock.kind]).toEqual([known(OFF), 'held']);
    // Half a day of running without the time: by the device's count it is past midnight.
    const held = advance(of, record, { kind: 'tick' }, box.pass(12 * HOUR + 15 * 60_000));
    expect(dueOf(held)).toEqual(['schedule 2026-11-20T00:15Z']);
    record = held.record;
    const learnt = advance(of, record, { kind: 'tick' }, box.set(ON));
    expect(box.jumps).toHaveLength(1);
    expect(dueOf(learnt)).toEqual(['catchUp 2026-11-22T00:15Z']);
    expect(learnt.skipped).toEqual({ misfire: 1 });
  });

  it('an outage by a clock that is right is no jump', () => {
    const box = device(ON, OFF);
    expect([box.clock.read(), box.jumps]).toEqual([known(ON), []]);
  });

  it('partitioned jobs wait with everything, and start when the time is known', () => {
    const of = plan([{ kind: 'startup', delayMs: durationMs(5000) }, every('10m')], {
      partition: daily,
    });
    const started = advance(
      of,
      newScheduleRecord(epochMs(1000)),
      { kind: 'started' },
      unknown(1000),
    );
    const waiting = advance(of, started.record, { kind: 'tick' }, unknown(2 * HOUR));
    expect([started.due, waiting.due]).toEqual([[], []]);
    expect(nextFireMs(of, waiting.record, unknown(2 * HOUR))).toBeNull();
    const [run, ...more] = advance(of, waiting.record, { kind: 'tick' }, known(ON)).due;
    expect(more).toEqual([]);
    expect(run).toMatchObject({ trigger: 'startup', at: ON, notBefore: ON + 5000 });
    expect(run!.partition.id).toBe('2026-11-21');
  });
});

describe('a clock that jumps', () => {
  it('by ten years forward runs what the policy says, not ten years of schedules', () => {
    const of = plan([cron('* * * * *')], { misfire: 'runAll' });
    const step = advance(of, running(of, OFF), { kind: 'tick' }, known(OFF + 3650 * DAY));
    expect(step.due.length).toBeLessThanOrEqual(limits.scheduleCatchUpRunsMax + 2);
    const counted = Object.values(step.skipped).reduce((sum, count) => sum + count, 0);
    expect(counted + step.due.length).toBe(3650 * 24 * 60);
  });

  it('back from a wrong future is held at first, then believed, and nothing stalls', () => {
    const of = plan([cron('0 * * * *')]);
    const box = device(OFF + 3650 * DAY, null);
    let record = running(of, box.clock.read().nowMs);
    expect(box.set(OFF)).toEqual(known(OFF + 3650 * DAY));
    expect(box.clock.kind).toBe('held');
    const wrong = advance(of, record, { kind: 'tick' }, box.pass(59 * 60_000));
    expect(wrong.notes).toEqual([]);
    const time = box.pass(60_001);
    expect([box.clock.kind, time]).toEqual(['known', known(OFF + HOUR + 1)]);
    expect(nextFireMs(of, wrong.record, time)).toBe(time.nowMs);
    const back = advance(of, wrong.record, { kind: 'tick' }, time);
    expect(back.notes).toMatchObject([{ kind: 'clockBack', nowMs: time.nowMs }]);
    record = back.record;
    expect(dueOf(advance(of, record, { kind: 'tick' }, box.pass(HOUR)))).toEqual([
      'schedule 2026-11-19T14:00Z',
    ]);
  });

  it('back is believed sooner where the network set the clock', () => {
    const box = device(ON, null, true);
    box.clock.read();
    box.set(OFF);
    expect(box.pass(9 * 60_000)).toEqual(known(ON + 9 * 60_000));
    expect(box.pass(60_000)).toEqual(known(OFF + 10 * 60_000));
  });

  it('back by less than an hour is waited for: no time fires twice', () => {
    const of = plan([cron('0 * * * *')]);
    const record = running(of, ON + 1);
    const back = advance(of, record, { kind: 'tick' }, known(ON - 30 * 60_000));
    expect([back.due, back.notes, back.record.accounted.toMs]).toEqual([[], [], ON + 1]);
    expect(advance(of, back.record, { kind: 'tick' }, known(ON + 5000)).due).toEqual([]);
  });

  it('before the floor is never believed after a known time', () => {
    const box = device(ON, null);
    box.clock.read();
    expect(box.set(1000)).toEqual(known(ON));
    expect(box.pass(30 * DAY)).toEqual(known(ON + 30 * DAY));
    expect(box.clock.kind).toBe('held');
  });

  it('by less than a minute is a correction', () => {
    const box = device(ON, null);
    box.clock.read();
    expect(box.set(ON - 59_000)).toEqual(known(ON - 59_000));
    expect(box.set(ON)).toEqual(known(ON));
    expect(box.jumps).toEqual([`unknown → ${utc(ON)}`]);
  });
});

describe('days on which the clock of the zone changes', () => {
  it.each([
    ['2026-03-29', 23],
    ['2026-10-25', 25],
  ])('%s is one run over %i hours', (date, hours) => {
    const of = plan([{ kind: 'cron', cron: '30 2 * * *', timezone: 'Europe/Paris' }], {
      partition: { kind: 'period', every: '1d', timezone: 'Europe/Paris' },
      misfire: 'runAll',
    });
    const from = at(`${date}T12:00:00Z`);
    const { due } = advance(of, running(of, from), { kind: 'tick' }, known(from + DAY));
    expect(due.map(({ partition }) => partition.id)).toEqual([date]);
    expect((due[0]!.partition.end - due[0]!.partition.start) / HOUR).toBe(hours);
  });
});
