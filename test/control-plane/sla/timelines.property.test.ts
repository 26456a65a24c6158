/**
 * Histories of two lines and what is computed of them, against an oracle that walks every minute
 * and asks each line what it says of it.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { complianceOf, keptIn } from '@runnel/control-plane/sla/compliance.ts';
import { mergeTimelines } from '@runnel/control-plane/sla/merge-timelines.ts';
import type { SlaIntervalRecord } from '@runnel/control-plane/store/slas.ts';

const MINUTE = 60_000;
const END = 120;

type Verdict = SlaIntervalRecord['verdict'];

function interval(
  verdict: Verdict,
  from: number,
  to: number | null,
  judge: SlaIntervalRecord['judge'] = 'control-plane',
): SlaIntervalRecord {
  return {
    job: 'j',
    agent: 'a',
    sla: 's',
    kind: 'freshness',
    verdict,
    cause: '',
    judge,
    from: from * MINUTE,
    to: to === null ? null : to * MINUTE,
  };
}

/** Without a gap; the last one lasts. */
function line(
  verdicts: readonly Verdict[],
  cuts: readonly number[],
  judges: readonly SlaIntervalRecord['judge'][] = [],
): SlaIntervalRecord[] {
  const bounds = [...cuts].toSorted((a, b) => a - b);
  return bounds.map((from, index) =>
    interval(
      verdicts[index % verdicts.length] ?? 'met',
      from,
      bounds[index + 1] ?? null,
      judges[index],
    ),
  );
}

const cuts = fc.uniqueArray(fc.integer({ min: 0, max: END - 1 }), { minLength: 1, maxLength: 12 });
const own = fc
  .tuple(
    fc.array(fc.constantFrom<Verdict>('met', 'atRisk', 'breached', 'unreachable'), {
      minLength: 1,
      maxLength: 12,
    }),
    cuts,
    fc.array(fc.constantFrom('device' as const, 'control-plane' as const), { maxLength: 12 }),
  )
  .map(([verdicts, at, judges]) => line(verdicts, at, judges));
const device = fc
  .tuple(
    fc.array(fc.constantFrom<Verdict>('met', 'atRisk', 'breached'), {
      minLength: 1,
      maxLength: 12,
    }),
    cuts,
  )
  .map(([verdicts, at]) => line(verdicts, at));

const at = (records: readonly SlaIntervalRecord[], minute: number) =>
  records.find(({ from, to }) => from <= minute * MINUTE && (to === null || minute * MINUTE < to));

/** What the history must say of each minute; undefined before it begins. */
function oracle(
  ownLine: readonly SlaIntervalRecord[],
  deviceLine: readonly SlaIntervalRecord[],
  isHeard: boolean,
): (Verdict | undefined)[] {
  return Array.from({ length: END }, (_, minute) => {
    const mine = at(ownLine, minute);
    if (mine === undefined) return undefined;
    const isOpen = mine.verdict === 'unreachable' ? mine.to !== null : mine.judge === 'device';
    const told = at(deviceLine, minute);
    if (!isOpen || told === undefined || (told.to === null && !isHeard)) return mine.verdict;
    return told.verdict;
  });
}

describe('a history of two lines', () => {
  it('says of each minute what an oracle says that asks both lines', () => {
    fc.assert(
      fc.property(own, device, fc.boolean(), (ownLine, deviceLine, isHeard) => {
        const since = isHeard ? (deviceLine.at(-1)?.from ?? null) : null;
        const merged = mergeTimelines(ownLine, deviceLine, since);
        const said = Array.from({ length: END }, (_, minute) => at(merged, minute)?.verdict);
        expect(said).toEqual(oracle(ownLine, deviceLine, isHeard));
      }),
      { numRuns: 300 },
    );
  });

  it('has a compliance that counts each minute once', () => {
    fc.assert(
      fc.property(own, fc.integer({ min: 0, max: 60 }), (ownLine, from) => {
        const minutes = Array.from({ length: END - from }, (_, n) => at(ownLine, from + n));
        const counted = (...verdicts: Verdict[]): number =>
          minutes.filter((each) => each !== undefined && verdicts.includes(each.verdict)).length *
          MINUTE;
        const kept = keptIn(ownLine, from * MINUTE, END * MINUTE);
        expect(kept).toMatchObject({
          metMs: counted('met', 'atRisk'),
          breachedMs: counted('breached'),
          unreachableMs: counted('unreachable'),
        });
        const identity = { job: 'j', agent: 'a', sla: 's', kind: 'freshness', objective: 0.9 };
        const span = { from: 0, to: 1 };
        const item = complianceOf({ ...identity, kind: 'freshness' }, kept, span);
        const known = kept.metMs + kept.breachedMs;
        if (known === 0) expect(item).toMatchObject({ compliance: null, budgetLeft: null });
        else {
          expect(item.compliance).toBeCloseTo(kept.metMs / known, 9);
          expect(item.budgetLeft).toBeCloseTo(1 - kept.breachedMs / (known * 0.1), 6);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('an offline time', () => {
  //  own     met 0 ──── unreachable 10 ──────────────── met 50 ──
  //  device  met 0 ──────────── breached 20 ── met 30 ───────────
  const ownLine = [
    interval('met', 0, 10),
    interval('unreachable', 10, 50),
    interval('met', 50, null),
  ];
  const deviceLine = [
    interval('met', 0, 20),
    interval('breached', 20, 30),
    interval('met', 30, null),
  ];

  it('has the verdicts of the device once it is back and has told', () => {
    const merged = mergeTimelines(ownLine, deviceLine, 30 * MINUTE);
    const told = merged.map(({ verdict, from }) => [verdict, from / MINUTE]);
    expect(told).toEqual([
      ['met', 0],
      ['breached', 20],
      ['met', 30],
    ]);
  });

  it('stays unknown from where the device has not told yet', () => {
    const merged = mergeTimelines(ownLine, [interval('met', 0, null)], 30 * MINUTE);
    expect(merged.map(({ verdict }) => verdict)).toEqual(['met', 'unreachable', 'met']);
  });

  it('is not filled while it lasts', () => {
    const silent = [interval('met', 0, 10), interval('unreachable', 10, null)];
    const merged = mergeTimelines(silent, [interval('met', 0, null)], 0);
    expect(merged.map(({ verdict }) => verdict)).toEqual(['met', 'unreachable']);
  });
});
