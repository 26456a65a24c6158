/**
 * I6 for the engine: what comes out follows from the order of the entries and their `now`, and from
 * nothing else: not from how often it was restarted, nor from how many ticks came in between.
 */
import * as fc from 'fast-check';
import { encode } from 'msgpackr';
import { expect, test } from 'vitest';
import type { DryRunEntry } from '@runnel/shared/engine/dry-run.ts';
import { MemoryState } from '@runnel/shared/engine/memory-state.ts';
import { outputLine } from '@runnel/shared/engine/record.ts';
import type { EpochMs } from '@runnel/shared/ids.ts';
import { compileYaml, type Feed, run } from '../../support/engine.ts';

const JOB = (per: string): string => `
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: everything }
sources:
  a:
    mqtt: { topic: a }
    time: "payload.t"
    maxOutOfOrderness: 20ms
    idleTimeout: 70ms
    watermarkPer: ${per}
    identity: "payload.id"
    identityWindow: 40ms
  b: { mqtt: { topic: b }, idleTimeout: 110ms, watermarkPer: ${per} }
steps:
  - id: ok
    filter: "payload.v != 7"
  - id: hop
    window: { hopping: { size: 40ms, every: 10ms }, by: "topic", allowedLateness: 15ms }
    aggregate:
      n: "count()"
      mean: "avg(payload.v)"
      p: "quantile(payload.v, 0.9)"
      l: "last(payload.v)"
  - id: visits
    from: ok
    window: { session: { gap: 12ms }, by: "payload.v", allowedLateness: 30ms }
    aggregate: { n: "count()", sd: "stddev(payload.v)" }
  - id: hot
    from: hop
    alert: { when: "mean > 5", clear: "mean < 4", for: 20ms }
  - id: silent
    from: [a, b]
    alert: { absence: 60ms, by: "topic" }
sinks:
  - { from: hop, results: { dataset: hop } }
  - { from: visits, results: { dataset: visits } }
  - { from: hot, alerts: {} }
  - { from: silent, alerts: {} }
  - { from: late, results: { dataset: late } }
`;

const step = fc.record({
  source: fc.constantFrom('a', 'b'),
  aheadMs: fc.integer({ min: 0, max: 45 }),
  lagMs: fc.integer({ min: 0, max: 60 }),
  v: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(null), fc.constant('bad')),
  id: fc.integer({ min: 0, max: 30 }),
  topic: fc.constantFrom('x', 'y'),
  kind: fc.constantFrom('record', 'record', 'record', 'record', 'now'),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function entriesOf(steps: readonly Step[]): Feed {
  let nowMs = 1000;
  return steps.map(({ source, aheadMs, lagMs, v, id, topic, kind }) => {
    nowMs += aheadMs;
    const timeMs = nowMs as EpochMs;
    const payload = { t: nowMs - lagMs, v, id };
    const record: DryRunEntry =
      kind === 'now'
        ? { kind: 'now', timeMs }
        : { kind: 'record', timeMs, record: { topic, payload, meta: {} } };
    return [source, record] as const;
  });
}

const steps = fc.array(step, { maxLength: 60 });
const per = fc.constantFrom('source', 'topic', 'key');

test('the same entries give the same bytes and the same state', () => {
  fc.assert(
    fc.property(per, steps, (mode, list) => {
      const program = compileYaml(JOB(mode));
      const [one, two] = [run(program, entriesOf(list)), run(program, entriesOf(list))];
      expect(two.lines).toEqual(one.lines);
      expect(two.letters).toEqual(one.letters);
      expect(encode(two.state.dump())).toEqual(encode(one.state.dump()));
    }),
    { numRuns: 40 },
  );
});

test('killed and restored anywhere, it gives the same bytes', () => {
  fc.assert(
    fc.property(
      per,
      steps,
      fc.array(fc.nat({ max: 60 }), { maxLength: 8 }),
      (mode, list, kills) => {
        const program = compileYaml(JOB(mode));
        const whole = run(program, entriesOf(list));
        const again = run(program, entriesOf(list), {
          killAfter: (count) => kills.includes(count),
        });
        expect(again.lines).toEqual(whole.lines);
        expect(again.letters).toEqual(whole.letters);
        expect(again.counters).toEqual(whole.counters);
      },
    ),
    { numRuns: 150 },
  );
});

test('ticks at the times the job asks for, or at any others, change nothing', () => {
  fc.assert(
    fc.property(
      per,
      steps,
      fc.array(fc.nat({ max: 45 }), { maxLength: 60 }),
      (mode, list, extra) => {
        const program = compileYaml(JOB(mode));
        const entries = entriesOf(list);
        const plain = run(program, entries).lines;
        expect(ticked(JOB(mode), entries, () => undefined)).toEqual(plain);
        expect(ticked(JOB(mode), entries, (index) => extra[index])).toEqual(plain);
      },
    ),
    { numRuns: 150 },
  );
});

/** Runs with a tick whenever the job asks for one, and one more after each entry if given. */
function ticked(
  job: string,
  entries: Feed,
  extra: (index: number) => number | undefined,
): string[] {
  const lines: string[] = [];
  const instance = compileYaml(job).create(new MemoryState(), {
    output: (output) => lines.push(outputLine(output)),
    deadLetter: () => undefined,
  });
  for (const [index, [source, entry]] of entries.entries()) {
    for (let wakes = 0; wakes < 1000; wakes += 1) {
      const tickMs = instance.nextTickMs();
      if (tickMs === undefined || tickMs > entry.timeMs) break;
      instance.tick(tickMs);
    }
    if (entry.kind === 'record') instance.record(source, entry.record, entry.timeMs);
    else instance.tick(entry.timeMs);
    const next = entries[index + 1]?.[1].timeMs ?? entry.timeMs;
    const aheadMs = extra(index);
    if (aheadMs !== undefined) instance.tick(Math.min(entry.timeMs + aheadMs, next) as EpochMs);
  }
  instance.flush();
  return lines;
}
