/**
 * Up to when silence of what a device makes is silence of its jobs. Pure; epoch milliseconds.
 *
 * What it sends and its heartbeats take the same way: when the link is cut both end, and nobody
 * here can tell at once. A heartbeat shows that what was made before the one before it has come by
 * now or did not exist. So silence counts up to the last heartbeat but one, and never up to now:
 * a promise is not broken because a cable is.
 *
 * ```
 * heartbeats   0        10        20                        60        70
 * link         ─────────────────────┤ cut            back ├──────────────
 * heard up to  –         0        10                        20        60
 * ```
 */
export interface HeardUpTo {
  readonly at: number;
  readonly before: number | null;
}

/** Heartbeats that follow at once, as those after a change, tell no more than the first of them. */
export function heardAgain(heard: HeardUpTo | null, at: number, intervalMs: number): HeardUpTo {
  if (heard === null) return { at, before: null };
  // A clock on the wall that was set back begins anew.
  if (at < heard.at) return { at, before: null };
  return at - heard.at < intervalMs / 2 ? heard : { at, before: heard.at };
}
