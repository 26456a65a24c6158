import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HeardUpTo, heardAgain } from '@runnel/control-plane/intake/heard-up-to.ts';

const INTERVAL = 10_000;

function after(...beats: readonly number[]): number | null {
  let heard: HeardUpTo | null = null;
  for (const at of beats) heard = heardAgain(heard, at, INTERVAL);
  return heard?.before ?? null;
}

describe('silence counts up to', () => {
  it.each([
    ['nothing before the second heartbeat', [0], null],
    ['the last heartbeat but one', [0, 10_000, 20_000], 10_000],
    ['the last before a cut, when it is over', [0, 10_000, 60_000], 10_000],
    ['the same, however soon the next follows', [0, 10_000, 60_000, 60_100, 60_200], 10_000],
    ['the end of the cut, one heartbeat later', [0, 10_000, 60_000, 60_100, 70_000], 60_000],
    ['nothing, when the clock was set back', [50_000, 60_000, 5000], null],
  ] as const)('%s', (_, beats, upTo) => {
    expect(after(...beats)).toBe(upTo);
  });

  it('an instant at least half an interval ago, at which there was a heartbeat', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40_000), { minLength: 1 }), (gaps) => {
        const beats = gaps.reduce((all, gap) => [...all, (all.at(-1) ?? 0) + gap], [0]);
        const upTo = after(...beats);
        if (upTo === null) return;
        expect(beats).toContain(upTo);
        expect((beats.at(-1) ?? 0) - upTo).toBeGreaterThanOrEqual(INTERVAL / 2);
      }),
    );
  });
});
