/**
 * One history of a promise from its two lines (store/schema.ts). The control plane's own line has
 * no gap while the promise is made. Where it says `unreachable`, what the device told later of that
 * time takes its place, and what it did not tell stays unreachable. Where it goes by the device's
 * word, the device's own line is the exact one: heartbeats come now and then, and while the control
 * plane was down nobody took them. Where it goes by what it saw itself, that stands.
 *
 * The device's newest interval has no end yet. It vouches for a time up to now only if the device
 * has been heard since and still stands in it: before its rows have come, what it said last may be
 * long over.
 */
import type { SlaIntervalRecord } from '../store/slas.ts';

/**
 * Both lines of one promise in the order of time. `deviceSince`: since when the device says that
 * its verdict stands, as it was heard last; null: it has not been heard.
 */
export function mergeTimelines(
  own: readonly SlaIntervalRecord[],
  device: readonly SlaIntervalRecord[],
  deviceSince: number | null,
): SlaIntervalRecord[] {
  const told = device.filter(({ to, from }) => to !== null || from === deviceSince);
  const merged: SlaIntervalRecord[] = [];
  for (const interval of own) {
    if (!isFilled(interval)) add(merged, interval);
    else for (const part of filled(interval, told)) add(merged, part);
  }
  return merged;
}

/** While a silence lasts nothing can have been told of it. */
function isFilled({ verdict, judge, to }: SlaIntervalRecord): boolean {
  return verdict === 'unreachable' ? to !== null : judge === 'device';
}

/** The interval with what was told of its time; no part is empty. */
function filled(
  interval: SlaIntervalRecord,
  told: readonly SlaIntervalRecord[],
): SlaIntervalRecord[] {
  const parts: SlaIntervalRecord[] = [];
  const end = interval.to ?? Infinity;
  let at = interval.from;
  for (const each of told) {
    const from = Math.max(each.from, at);
    const until = Math.min(each.to ?? Infinity, end);
    if (until <= from) continue;
    if (from > at) parts.push({ ...interval, from: at, to: from });
    parts.push({ ...each, judge: 'device', from, to: until === Infinity ? null : until });
    at = until;
  }
  if (at < end) parts.push({ ...interval, from: at });
  return parts;
}

/** Intervals of one verdict that touch are one; those without length are none. */
function add(merged: SlaIntervalRecord[], next: SlaIntervalRecord): void {
  if (next.to !== null && next.to <= next.from) return;
  const last = merged.at(-1);
  if (last === undefined || last.verdict !== next.verdict || last.to !== next.from) {
    merged.push(next);
    return;
  }
  merged[merged.length - 1] = { ...last, to: next.to };
}
