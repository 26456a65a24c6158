/** The clock of a device, judged by its heartbeats. */
import { describe, expect, it } from 'vitest';
import { noSkew, sawBeat, type SkewWatch } from '@runnel/control-plane/intake/clock-skew.ts';

/** Heartbeats every 10 s whose `sentAt` differs from the receipt by these milliseconds. */
function watchOf(...differencesMs: readonly number[]): SkewWatch {
  return differencesMs.reduce<SkewWatch>(
    (watch, difference, at) => sawBeat(watch, at * 10_000 + difference, at * 10_000),
    noSkew,
  );
}

describe('a clock', () => {
  it('is not judged by two heartbeats', () => {
    expect(watchOf(120_000, 120_000).skewMs).toBe(null);
    expect(watchOf(120_000, 120_000, 120_000).skewMs).toBe(120_000);
  });

  it('is judged by the heartbeat that was fastest: what waited on the way is not late', () => {
    expect(watchOf(-50, -90_000, -60_000, -20).skewMs).toBe(null);
    expect(watchOf(-70_000, -61_000, -90_000).skewMs).toBe(-61_000);
  });

  it('that wobbles is told by one number, until it is another one', () => {
    const told = watchOf(-120_000, -120_000, -120_000, -121_900, -117_500, -119_000);
    expect(told.skewMs).toBe(-120_000);
    expect(watchOf(...told.differencesMs, ...Array<number>(5).fill(-300_000)).skewMs).toBe(
      -300_000,
    );
  });

  it('that was set right is well again only clearly below the bound', () => {
    const nearly = Array<number>(5).fill(25_000);
    expect(watchOf(40_000, 40_000, 40_000, ...nearly).skewMs).not.toBe(null);
    expect(watchOf(...nearly).skewMs).toBe(null);
    expect(watchOf(40_000, 40_000, 40_000, ...Array<number>(5).fill(1000)).skewMs).toBe(null);
  });
});
