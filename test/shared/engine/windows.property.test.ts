/**
 * The engine's windows against a brute-force reference, on random event times, keys, gaps and
 * lateness; killed and restored at random places too.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Output } from '@runnel/shared/engine/record.ts';
import {
  compileYaml,
  feed,
  type Feed,
  jobYaml,
  run,
  type RunResult,
} from '../../support/engine.ts';
import {
  naiveHopping,
  type NaiveRecord,
  type NaiveResult,
  naiveSessions,
} from '../../support/naive-windows.ts';

const records = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    timeMs: fc.integer({ min: -50, max: 250 }),
    value: fc.integer({ min: -100, max: 100 }),
  }),
  { maxLength: 60 },
);
const time = fc.record({
  outOfOrdernessMs: fc.integer({ min: 0, max: 60 }),
  latenessMs: fc.constantFrom(0, 0, 5, 30, 200),
});
const kills = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 5 });
const AGGREGATE = 'aggregate: { n: "count()", sum: "sum(payload.v)", max: "max(payload.v)" }';

function source(outOfOrdernessMs: number): string {
  return `time: "payload.t", maxAhead: 1h, maxOutOfOrderness: ${outOfOrdernessMs}ms`;
}

function entriesOf(list: readonly NaiveRecord[]): Feed {
  const line = ({ key, timeMs, value }: NaiveRecord): unknown => ({
    time: 1000,
    payload: { key, t: timeMs, v: value },
  });
  return feed('in', list.map(line));
}

/** The last word on every window: the highest revision, without the ones that were taken back. */
function lastValues(outputs: readonly Output[]): Output[] {
  const last = new Map<string, Output>();
  for (const output of outputs) {
    if (output.step === 'late') continue;
    const id = JSON.stringify([output.key, output.windowStart, output.windowEnd]);
    expect(output.revision, `revisions of ${id} rise by one`).toBe(
      (last.get(id)?.revision ?? 0) + 1,
    );
    last.set(id, output);
  }
  return [...last.values()].filter((output) => output.value !== null);
}

function check(result: RunResult, naive: NaiveResult): void {
  const found = lastValues(result.outputs).map((output) => [
    output.key,
    output.windowStart,
    output.windowEnd,
    output.value,
  ]);
  const wanted = naive.windows.map((window) => [
    window.key,
    window.startMs,
    window.endMs,
    {
      n: window.values.length,
      sum: window.values.reduce((sum, value) => sum + value, 0),
      max: Math.max(...window.values),
    },
  ]);
  const order = (each: readonly unknown[]): string => JSON.stringify(each);
  expect(found.map(order).sort()).toEqual(wanted.map(order).sort());
  expect(result.counters.late).toBe(naive.late);
  expect(result.outputs.filter((output) => output.step === 'late')).toHaveLength(naive.late);
}

test('hopping and tumbling windows end with what brute force gives, whatever the order', () => {
  const window = fc.record({
    sizeMs: fc.integer({ min: 1, max: 60 }),
    everyPart: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(records, time, window, kills, (list, bounds, { sizeMs, everyPart }, killed) => {
      const everyMs = Math.min(everyPart, sizeMs);
      const naive = naiveHopping(list, { sizeMs, everyMs, offsetMs: 0 }, bounds);
      const yaml = jobYaml(
        `- window: { hopping: { size: ${sizeMs}ms, every: ${everyMs}ms }, by: "payload.key", ` +
          `allowedLateness: ${bounds.latenessMs}ms }\n  ${AGGREGATE}`,
        source(bounds.outOfOrdernessMs),
      );
      const program = compileYaml(yaml);
      const whole = run(program, entriesOf(list));
      check(whole, naive);
      const again = run(program, entriesOf(list), { killAfter: (count) => killed.includes(count) });
      expect(again.lines).toEqual(whole.lines);
    }),
    { numRuns: 300 },
  );
});

test('tumbling windows with an offset begin at n · size + offset', () => {
  const offsets = fc.integer({ min: 0, max: 19 });
  fc.assert(
    fc.property(records, time, offsets, (list, bounds, offsetMs) => {
      const naive = naiveHopping(list, { sizeMs: 20, everyMs: 20, offsetMs }, bounds);
      const yaml = jobYaml(
        `- window: { tumbling: { size: 20ms, offset: ${offsetMs}ms }, by: "payload.key", ` +
          `allowedLateness: ${bounds.latenessMs}ms }\n  ${AGGREGATE}`,
        source(bounds.outOfOrdernessMs),
      );
      check(run(compileYaml(yaml), entriesOf(list)), naive);
    }),
    { numRuns: 150 },
  );
});

test('sessions end with what brute force gives: merged, retracted, revised', () => {
  fc.assert(
    fc.property(
      records,
      time,
      fc.integer({ min: 1, max: 40 }),
      kills,
      (list, bounds, gap, killed) => {
        const naive = naiveSessions(list, gap, bounds);
        const yaml = jobYaml(
          `- window: { session: { gap: ${gap}ms }, by: "payload.key", ` +
            `allowedLateness: ${bounds.latenessMs}ms }\n  ${AGGREGATE}`,
          source(bounds.outOfOrdernessMs),
        );
        const program = compileYaml(yaml);
        const whole = run(program, entriesOf(list));
        check(whole, naive);
        const again = run(program, entriesOf(list), {
          killAfter: (count) => killed.includes(count),
        });
        expect(again.lines).toEqual(whole.lines);
      },
    ),
    { numRuns: 400 },
  );
});

test('every record is counted exactly once by tumbling windows, or goes to late', () => {
  fc.assert(
    fc.property(records, time, (list, bounds) => {
      const yaml = jobYaml(
        `- window: { tumbling: 20ms, allowedLateness: ${bounds.latenessMs}ms }\n  ${AGGREGATE}`,
        source(bounds.outOfOrdernessMs),
      );
      const result = run(compileYaml(yaml), entriesOf(list));
      const counted = lastValues(result.outputs).reduce(
        (sum, { value }) => sum + (value as { n: number }).n,
        0,
      );
      expect(counted + result.counters.late).toBe(list.length);
    }),
    { numRuns: 150 },
  );
});

test('with watermarkPer: key, a key is judged by its own records alone', () => {
  fc.assert(
    fc.property(records, time, kills, (list, bounds, killed) => {
      const yaml = jobYaml(
        `- window: { tumbling: 20ms, by: "payload.key", ` +
          `allowedLateness: ${bounds.latenessMs}ms }\n  ${AGGREGATE}`,
        `${source(bounds.outOfOrdernessMs)}, watermarkPer: key`,
      );
      const program = compileYaml(yaml);
      const whole = run(program, entriesOf(list));
      const naives = ['a', 'b', 'c'].map((key) => {
        const own = list.filter((record) => record.key === key);
        return naiveHopping(own, { sizeMs: 20, everyMs: 20, offsetMs: 0 }, bounds);
      });
      check(whole, {
        windows: naives.flatMap((naive) => naive.windows),
        late: naives.reduce((sum, naive) => sum + naive.late, 0),
      });
      const again = run(program, entriesOf(list), { killAfter: (count) => killed.includes(count) });
      expect(again.lines).toEqual(whole.lines);
    }),
    { numRuns: 150 },
  );
});

test('windows fire in the order of end, start, key, and never before the watermark', () => {
  const kinds = fc.constantFrom('hopping: { size: 30ms, every: 10ms }', 'session: { gap: 9ms }');
  fc.assert(
    fc.property(records, kinds, (list, kind) => {
      const yaml = jobYaml(`- window: { ${kind}, by: "payload.key" }\n  ${AGGREGATE}`, source(300));
      const { outputs } = run(compileYaml(yaml), entriesOf(list));
      const fired = outputs.map(({ windowEnd, windowStart, key }) => ({
        end: Number(windowEnd),
        start: Number(windowStart),
        key: JSON.stringify(key),
      }));
      const byRule = fired.toSorted(
        (left, right) =>
          left.end - right.end || left.start - right.start || (left.key < right.key ? -1 : 1),
      );
      expect(fired).toEqual(byRule);
    }),
    { numRuns: 150 },
  );
});
