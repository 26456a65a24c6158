/**
 * A fleet under rollouts and promises, from one seed each, with an auditor who sees what devices
 * really do and an oracle that walks every second. RUNNEL_FLEET_SEED=17 runs that seed alone; the
 * long run is fleet.soak.ts.
 */
import { describe, expect, it } from 'vitest';
import { PLANTED } from './fleet/planted.ts';
import { completeness, deadline, duration, successRate } from './fleet/promise-histories.ts';
import { seedsFrom, verdictOn } from './fleet/seeds.ts';
import { simulateFleet } from './fleet/simulate-fleet.ts';

const only = process.env.RUNNEL_FLEET_SEED;
/** Of work that is only computing, on a machine that may have other things to do. */
const PATIENCE_MS = 180_000;
const seeds = only === undefined ? seedsFrom(1, 50) : [Number(only)];

describe('a simulated fleet', { timeout: PATIENCE_MS }, () => {
  it('keeps what rollouts and promises guarantee, whatever happens', () => {
    const sum = { given: 0, advanced: 0, rolledBack: 0, succeeded: 0, restarts: 0 };
    for (const seed of seeds) {
      const { findings, seen } = simulateFleet(seed);
      expect(verdictOn(seed, findings)).toBe('nothing found');
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += seen[key];
    }
    // An audit of nothing finds nothing.
    if (only === undefined) expect(Math.min(...Object.values(sum))).toBeGreaterThan(20);
  });

  it('is the same for the same seed', () => {
    expect(simulateFleet(3)).toEqual(simulateFleet(3));
  });
});

describe('a promise is what a walk of every second says of it', () => {
  it.each(Object.entries({ deadline, duration, successRate, completeness }))('%s', (_, of) => {
    const said = new Set<string>();
    for (const seed of seedsFrom(1, 25)) {
      const { product, naive } = of(seed);
      expect({ seed, verdicts: product }).toEqual({ seed, verdicts: naive });
      for (const verdict of naive) said.add(verdict);
    }
    expect([...said]).toEqual(expect.arrayContaining(['met', 'atRisk', 'breached']));
  });
});

describe('a planted bug is found that', { timeout: PATIENCE_MS }, () => {
  it.each(Object.entries(PLANTED))('%s', (_name, product) => {
    const found = seedsFrom(1, 60).some((seed) => simulateFleet(seed, product).findings.length > 0);
    expect(found).toBe(true);
  });
});
