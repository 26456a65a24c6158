/** Event time, watermarks, idleness and connection, entry by entry. */
import { expect, test } from 'vitest';
import { eventTimeOf } from '@runnel/shared/engine/event-time.ts';
import { MemoryState } from '@runnel/shared/engine/memory-state.ts';
import type { Output } from '@runnel/shared/engine/record.ts';
import type { StreamJobInstance } from '@runnel/shared/engine/stream-job.ts';
import type { EpochMs } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import { compileYaml, feed, jobYaml, run } from '../../support/engine.ts';

const at = (ms: number): EpochMs => ms as EpochMs;
const record = (
  payload: unknown = {},
  topic = 't',
): Parameters<StreamJobInstance['record']>[1] => ({
  topic,
  payload,
  meta: {},
});

function start(yaml: string): { instance: StreamJobInstance; outputs: Output[] } {
  const outputs: Output[] = [];
  const instance = compileYaml(yaml).create(new MemoryState(), {
    output: (output) => outputs.push(output),
    deadLetter: () => undefined,
  });
  return { instance, outputs };
}

const COUNT = '- window: { tumbling: 10s }\n  aggregate: { n: "count()" }';

test('event time is milliseconds or ISO 8601, never in the zone of the device', () => {
  expect(eventTimeOf(1234.9, 't')).toBe(1234);
  expect(eventTimeOf('2026-11-22T10:00:00Z', 't')).toBe(Date.UTC(2026, 10, 22, 10));
  expect(eventTimeOf('2026-11-22T10:00:00', 't')).toBe(Date.UTC(2026, 10, 22, 10));
  expect(eventTimeOf('2026-11-22 10:00:00.250+0130', 't')).toBe(
    Date.UTC(2026, 10, 22, 8, 30, 0, 250),
  );
  expect(eventTimeOf('2026-11-22T10:00+02', 't')).toBe(Date.UTC(2026, 10, 22, 8));
  expect(eventTimeOf('2026-11-22', 't')).toBe(Date.UTC(2026, 10, 22));
  const reason = (value: unknown): string => {
    try {
      eventTimeOf(value, 'payload.ts');
    } catch (error) {
      return (error as { reason: string }).reason;
    }
    return 'taken';
  };
  expect(['22 Nov 2026', '2026-13-01', '2026-11-22T99:00', ''].map(reason)).toEqual(
    Array.from({ length: 4 }, () => 'bad_format'),
  );
  expect(reason(null)).toBe('null_value');
  expect(reason(true)).toBe('wrong_type');
  expect(reason(Number.NaN)).toBe('not_finite');
  expect(reason(1e20)).toBe('out_of_range');
});

test('the watermark is the largest event time − out-of-orderness − 1, and moves per record', () => {
  const { instance } = start(jobYaml(COUNT, 'maxOutOfOrderness: 2s'));
  expect(instance.watermarkMs()).toBeUndefined();
  instance.record('in', record(), at(5000));
  expect(instance.watermarkMs()).toBe(2999);
  instance.record('in', record(), at(4000));
  expect(instance.watermarkMs()).toBe(2999);
});

test('an instance says when it waits for time, and a tick at that time does what is due', () => {
  const { instance, outputs } = start(jobYaml(COUNT, 'idleTimeout: 3s'));
  expect(instance.nextTickMs()).toBeUndefined();
  instance.record('in', record(), at(1000));
  expect(instance.nextTickMs()).toBe(4000);
  instance.tick(at(3999));
  expect(outputs).toEqual([]);
  instance.tick(at(4000));
  // Idle: the watermark was 999 at 1000, and goes on with now from there: 9999 at 10000.
  expect(instance.watermarkMs()).toBe(3999);
  expect(instance.nextTickMs()).toBe(10_000);
  instance.tick(at(9999));
  expect(outputs).toEqual([]);
  instance.tick(at(10_000));
  expect(outputs).toHaveLength(1);
  expect(instance.nextTickMs()).toBeUndefined();
});

test('a disconnected source is not idle, however long it is silent', () => {
  const { instance, outputs } = start(jobYaml(COUNT, 'idleTimeout: 3s'));
  instance.record('in', record(), at(1000));
  instance.sourceConnected('in', false, at(2000));
  expect(instance.nextTickMs()).toBeUndefined();
  instance.tick(at(60_000));
  expect(outputs).toEqual([]);
  instance.sourceConnected('in', true, at(61_000));
  expect(instance.nextTickMs()).toBe(64_000);
  instance.tick(at(64_000));
  expect(instance.watermarkMs()).toBe(999 + 3000);
});

test('a topic that falls silent is idle, and the others go on without it', () => {
  const { instance, outputs } = start(jobYaml(COUNT, 'watermarkPer: topic, idleTimeout: 5s'));
  instance.record('in', record({}, 'x'), at(1000));
  instance.record('in', record({}, 'y'), at(2000));
  instance.record('in', record({}, 'x'), at(5000));
  expect(instance.watermarkMs()).toBe(1999);
  instance.record('in', record({}, 'x'), at(7000));
  // y has been silent for 5 s.
  expect(instance.watermarkMs()).toBe(6999);
  instance.record('in', record({}, 'x'), at(10_000));
  expect(outputs).toMatchObject([{ windowEnd: 10_000, value: { n: 4 } }]);
});

test('with watermarkPer: key, an idle key fires by itself', () => {
  const yaml = jobYaml(
    '- window: { tumbling: 10s, by: "topic" }\n  aggregate: { n: "count()" }',
    'watermarkPer: key, idleTimeout: 5s',
  );
  const { instance, outputs } = start(yaml);
  instance.record('in', record({}, 'x'), at(1000));
  instance.record('in', record({}, 'y'), at(2000));
  expect(instance.nextTickMs()).toBe(6000);
  instance.tick(at(6000));
  expect(instance.nextTickMs()).toBe(7000);
  instance.tick(at(7000));
  expect(instance.nextTickMs()).toBe(10_000);
  instance.tick(at(10_000));
  expect(outputs.map((output) => output.key)).toEqual(['x', 'y']);
});

test('topics beyond the bound share one watermark', () => {
  const count = limits.watermarkTopicsMax + 50;
  const lines = Array.from({ length: count }, (_, index) => ({
    time: 1000 + index,
    topic: `t${index}`,
    payload: {},
  }));
  const result = run(compileYaml(jobYaml(COUNT, 'watermarkPer: topic')), feed('in', lines));
  const topics = result.state.dump().find(([step]) => step === '$topics:in');
  expect(topics?.[2]).toHaveLength(limits.watermarkTopicsMax + 1);
  expect(result.outputs.reduce((sum, { value }) => sum + (value as { n: number }).n, 0)).toBe(
    count,
  );
  expect(result.counters.dropped).toEqual({ topics_max: 1 });
});

test('while the clock is not synchronised, a record may be any time ahead', () => {
  const program = compileYaml(jobYaml(COUNT, 'time: payload.ts, maxAhead: 1h'));
  const state = new MemoryState();
  const letters: string[] = [];
  const create = (): StreamJobInstance =>
    program.create(state, {
      output: () => undefined,
      deadLetter: ({ reason }) => letters.push(reason),
    });
  const today = Date.UTC(2026, 10, 22);
  const first = create();
  first.record('in', record({ ts: today }), at(1000));
  expect(letters).toEqual(['max_ahead']);
  first.clockSynchronised(false, at(2000));
  first.record('in', record({ ts: today }), at(3000));
  expect(first.watermarkMs()).toBe(today - 1);
  const second = create();
  second.record('in', record({ ts: today + 5 }), at(4000));
  expect(second.watermarkMs()).toBe(today + 4);
  second.clockSynchronised(true, at(5000));
  second.record('in', record({ ts: today + 9 }), at(6000));
  expect(letters).toEqual(['max_ahead', 'max_ahead']);
});

/*
 *      ts 0         10 s         20 s
 * old  |·····………idle|
 * young             |·····………idle|
 * open |·                                  (its record came just now)
 */
test('with watermarkPer: key, new keys go on beyond the bound: the oldest are forgotten', () => {
  const max = limits.keysPerStepMax;
  const yaml = jobYaml(
    '- window: { tumbling: 10s, by: "topic" }\n  aggregate: { n: "count()" }',
    'watermarkPer: key, time: payload.ts, idleTimeout: 5s',
  );
  const line = (time: number, topic: string, ts: number) => ({ time, topic, payload: { ts } });
  const lines = [
    ...Array.from({ length: max - 11 }, (_, index) => line(1000, `old${index}`, 5000)),
    ...Array.from({ length: 10 }, (_, index) => line(1000, `young${index}`, 15_000)),
    line(29_000, 'open', 1),
    { now: 30_000 },
  ];
  const rest = [
    line(30_000, 'new', 25_000),
    line(30_000, 'old7', 6000),
    line(30_000, 'young7', 16_000),
    line(30_000, 'open', 2),
    line(30_000, 'open', 10_000),
  ];
  const entries = feed('in', [...lines, ...rest]);
  const whole = run(compileYaml(yaml), entries, { flush: false });
  expect(whole.counters.dropped).toEqual({ keys_forgotten: max - 11, late: 2 });
  // old7 is judged by what its like had reached, young7 by its own watermark.
  expect(whole.outputs.filter(({ step }) => step === 'late').map(({ key }) => key)).toEqual([
    'old7',
    'young7',
  ]);
  expect(whole.outputs.at(-1)).toMatchObject({ key: 'open', value: { n: 2 } });
  // The young, `open`, `new`, and the watermark of the forgotten.
  const windows = whole.state.dump().find(([step]) => step === 'window');
  expect(windows?.[2]).toHaveLength(10 + 3);
  const killAfter = (count: number): boolean => count >= lines.length;
  const killed = run(compileYaml(yaml), entries, { flush: false, killAfter });
  expect(killed.lines).toEqual(whole.lines);
  expect(killed.counters).toEqual(whole.counters);
}, 60_000);

test('an unknown source is refused by name', () => {
  const { instance } = start(jobYaml(COUNT));
  expect(() => instance.record('out', record(), at(0))).toThrow('the job has no source "out"');
});
