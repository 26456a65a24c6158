/**
 * Stretches of time in which a zone's clock keeps one distance to UTC.
 *
 * Asking `Intl` takes microseconds, so time is cut into blocks of 16 days whose changes are found
 * once (by daily probes and bisection: no zone has ever changed twice within a day) and kept for
 * the blocks that were used last.
 */
import { zoneOffsetMs } from '../engine/windows/time-zone.ts';

export interface ZoneSegment {
  /** `[startMs, endMs)`. */
  readonly startMs: number;
  readonly endMs: number;
  /** Wall-clock time minus UTC. */
  readonly offsetMs: number;
}

const DAY_MS = 86_400_000;
const BLOCK_MS = 16 * DAY_MS;
/** Two blocks beside each other alternate around a border; a few zones take turns. */
const BLOCKS_KEPT_MAX = 32;
const blocks = new Map<string, readonly ZoneSegment[]>();

/** The segment around an instant; it may end earlier than the zone's next change. */
export function zoneSegmentAt(timezone: string, timeMs: number): ZoneSegment {
  const block = Math.floor(timeMs / BLOCK_MS);
  const key = `${block} ${timezone}`;
  let segments = blocks.get(key);
  if (segments === undefined) {
    segments = segmentsOf(timezone, block * BLOCK_MS);
    if (blocks.size >= BLOCKS_KEPT_MAX) blocks.delete(blocks.keys().next().value!);
    blocks.set(key, segments);
  }
  return segments.find((each) => timeMs < each.endMs) ?? segments.at(-1)!;
}

function segmentsOf(timezone: string, blockMs: number): readonly ZoneSegment[] {
  const segments: ZoneSegment[] = [];
  const endMs = blockMs + BLOCK_MS;
  let startMs = blockMs;
  let offsetMs = zoneOffsetMs(timezone, blockMs);
  for (let probeMs = blockMs + DAY_MS; probeMs <= endMs; probeMs += DAY_MS) {
    const next = zoneOffsetMs(timezone, probeMs);
    if (next === offsetMs) continue;
    const changeMs = changeIn(timezone, probeMs - DAY_MS, probeMs, offsetMs);
    segments.push({ startMs, endMs: changeMs, offsetMs });
    [startMs, offsetMs] = [changeMs, next];
  }
  if (startMs < endMs) segments.push({ startMs, endMs, offsetMs });
  return segments;
}

/** The first instant in `(lowMs, highMs]` with another offset than `lowMs` has. */
function changeIn(timezone: string, lowMs: number, highMs: number, offsetMs: number): number {
  let [low, high] = [lowMs, highMs];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (zoneOffsetMs(timezone, middle) === offsetMs) low = middle;
    else high = middle;
  }
  return high;
}
