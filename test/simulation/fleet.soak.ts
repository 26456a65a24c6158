/** Many seeds of the simulated fleet (RUNNEL_SOAK_SEEDS, default 2000). */
import { expect, it } from 'vitest';
import { seedsFrom, verdictOn } from './fleet/seeds.ts';
import { simulateFleet } from './fleet/simulate-fleet.ts';

const count = Number(process.env.RUNNEL_SOAK_SEEDS ?? 2000);
const CHUNK = 100;

/** The seeds of the short run are others. */
const FIRST = 10_001;

it.each(seedsFrom(0, Math.ceil(count / CHUNK)))('chunk %i of a hundred fleets', (chunk) => {
  const seeds = seedsFrom(FIRST + chunk * CHUNK, Math.min(CHUNK, count - chunk * CHUNK));
  const wrong = seeds.flatMap((seed) => {
    const { findings } = simulateFleet(seed);
    return findings.length === 0 ? [] : [verdictOn(seed, findings)];
  });
  expect(wrong).toEqual([]);
});
