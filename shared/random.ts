/**
 * Randomness comes in through this interface only, so that a seed reproduces a run.
 */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** A float in `[0, 1)`. */
  next(): number;
  /** `count` random bytes, fit for secrets only when they come from `systemRandom`. */
  bytes(count: number): Uint8Array;
}

export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => randomBytes(count),
};

/** Deterministic generator for tests and simulations (mulberry32); never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
  };
}

/** `random` spread evenly over `[ms * (1 - spread), ms * (1 + spread)]`. */
export function jittered(random: Random, ms: number, spread = 0.2): number {
  return ms * (1 - spread + 2 * spread * random.next());
}
