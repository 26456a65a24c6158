/**
 * Verdicts on freshness against an oracle that knows nothing of ladders or machines: it walks every
 * second and asks how old the newest result is, and for how long it was young enough.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SlaOf } from '@runnel/shared/definitions/sla.ts';
import { settle } from '@runnel/shared/sla/settle.ts';
import { type SlaChange, type SlaState, UNKNOWN } from '@runnel/shared/sla/sla-state.ts';

const WITHIN = 20;
const END = 300;
const SECOND = 1000;

const promise: SlaOf<'freshness'> = {
  name: 'fresh',
  kind: 'freshness',
  withinMs: WITHIN * SECOND,
  atRisk: 0.8,
  objective: 0.99,
  windowMs: 1,
};

/** The verdict of each second: worse at once, better when it held for `WITHIN`. */
function oracle(results: readonly number[]): string[] {
  const order = ['met', 'atRisk', 'breached'];
  const verdicts: string[] = [];
  const raw: string[] = [];
  for (let second = 0; second < END; second++) {
    const newest = Math.max(0, ...results.filter((at) => at <= second));
    const age = second - newest;
    raw.push(age >= WITHIN ? 'breached' : age >= WITHIN * 0.8 ? 'atRisk' : 'met');
    const before = verdicts.at(-1) ?? 'met';
    const now = raw[second]!;
    if (order.indexOf(now) >= order.indexOf(before)) verdicts.push(now);
    else {
      const span = raw.slice(Math.max(0, second - WITHIN), second + 1);
      const held = span.every((each) => order.indexOf(each) < order.indexOf(before));
      verdicts.push(held && span.length > WITHIN ? now : before);
    }
  }
  return verdicts;
}

function verdictsBy(changes: readonly SlaChange[]): string[] {
  return Array.from({ length: END }, (_, second) => {
    const last = changes.findLast(({ at }) => at <= second * SECOND);
    return last?.verdict ?? 'met';
  });
}

describe('freshness', () => {
  it('is what an oracle says that walks every second', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: END - 1 })), (results) => {
        let state: SlaState = UNKNOWN;
        let nextAt = 0;
        const changes: SlaChange[] = [];
        for (let second = 0; second < END; second++) {
          const past = results.filter((at) => at <= second);
          const lastAt = past.length === 0 ? null : Math.max(...past) * SECOND;
          const now = second * SECOND;
          const settled = settle(
            promise,
            { lastAt, sinceAt: 0 },
            state,
            Math.min(nextAt, now),
            now,
          );
          ({ state, nextAt } = settled);
          changes.push(...settled.changes);
        }
        expect(verdictsBy(changes)).toEqual(oracle(results));
      }),
      { numRuns: 200 },
    );
  });

  it('has the same history when nobody looked until the end, once silence began', () => {
    const looked = settle(promise, { lastAt: 0, sinceAt: 0 }, UNKNOWN, 0, 5 * SECOND);
    const late = settle(
      promise,
      { lastAt: 0, sinceAt: 0 },
      looked.state,
      looked.nextAt,
      3600 * SECOND,
    );
    expect(late.changes.map(({ verdict, at }) => [verdict, at])).toEqual([
      ['atRisk', 16 * SECOND],
      ['breached', 20 * SECOND],
    ]);
  });
});
