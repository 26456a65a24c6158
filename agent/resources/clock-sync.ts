/**
 * Whether the device's clock can be believed. Linux without root: systemd-timesyncd keeps a
 * directory while it runs, and in it a file once it has set the clock. Where another program keeps
 * the time nothing is known, which counts as synchronised; a clock before this release does not,
 * whoever keeps it.
 */
import { existsSync } from 'node:fs';

const TIMESYNC_DIR = '/run/systemd/timesync';
/** 2024-01-01: no device of this release lived before it. */
const EARLIEST_MS = 1_704_067_200_000;

export function isClockSynchronised(nowMs: number, timesyncDir = TIMESYNC_DIR): boolean {
  if (nowMs < EARLIEST_MS) return false;
  return !existsSync(timesyncDir) || existsSync(`${timesyncDir}/synchronized`);
}
