/** The readings of a device: history from the API, then one by one from the live view. Pure. */
import type { HostPoint } from '../../http/live-messages.ts';

/** An hour at one reading every 10 s, and as much again for faster heartbeats. */
export const HOST_POINTS_MAX = 720;

/** Adds points that are newer than the last known; the oldest go first beyond the bound. */
export function appendHost(
  known: readonly HostPoint[],
  incoming: readonly HostPoint[],
): readonly HostPoint[] {
  const last = known.at(-1)?.at ?? -Infinity;
  const fresh = incoming.filter((point) => point.at > last).sort((a, b) => a.at - b.at);
  return fresh.length === 0 ? known : [...known, ...fresh].slice(-HOST_POINTS_MAX);
}

/** Used of total in percent; null when either is unknown. */
export function usedPercent(used: number | null, total: number | null): number | null {
  return used === null || total === null || total === 0 ? null : (100 * used) / total;
}
