/**
 * What the devices of a rollout add up to, and whether its gate holds. Pure.
 *
 * The gate is a share of those that said how the version does: `updated / (updated + failed)`.
 * It breaks as soon as it cannot be met any more, even if every device that is still on its way
 * arrives; it opens only when nobody is on the way. Nobody's silence counts, for or against.
 */
import type { RolloutCounts } from '../http/rollout-messages.ts';
import type { Device } from './rollout-device.ts';
import type { RolloutState } from './rollout-state.ts';

export interface Tally {
  readonly updated: number;
  readonly failed: number;
  readonly updating: number;
  /** Connected, of the batches so far, and not told yet. */
  readonly waiting: number;
  /** Failed ones that the gate counts. */
  readonly blamed: number;
  /** Of this batch, those that said how it went. */
  readonly spoke: number;
  readonly inBatch: number;
  /** Told of the new version by this rollout and not running it: what the budget bounds. */
  readonly unavailable: number;
  /** Of them, those that are not connected. */
  readonly lost: number;
  readonly unheard: number;
}

export function tally({ devices, batch }: RolloutState): Tally {
  const sum = {
    ...{ updated: 0, failed: 0, updating: 0, waiting: 0, blamed: 0, spoke: 0, inBatch: 0 },
    ...{ unavailable: 0, lost: 0, unheard: 0 },
  };
  for (const device of devices.values()) {
    const { status } = device;
    if (status === 'gone') continue;
    if (device.batch === batch) sum.inBatch += 1;
    if (isUnavailable(device)) sum.unavailable += 1;
    if (device.batch > batch && !device.moved) continue;
    if (!device.heard) sum.unheard += 1;
    if (status === 'pending') sum.waiting += 1;
    else if (status === 'updating') sum.updating += 1;
    else if (status === 'updated') sum.updated += 1;
    else if (status === 'failed') sum.failed += 1;
    else if (device.moved && !device.reached) sum.lost += 1;
    if (status === 'failed' && !device.excused) sum.blamed += 1;
    if (device.batch === batch && (status === 'updated' || status === 'failed')) sum.spoke += 1;
  }
  return sum;
}

/** One that this rollout changes, and that does not run what it is to run. */
export function isUnavailable(device: Device): boolean {
  if (!device.moved) return false;
  if (device.status === 'unknown') return !device.reached;
  return device.status === 'updating' || device.status === 'failed';
}

/** Why the gate cannot be met any more; null while it holds or may yet. */
export function brokenGate(state: RolloutState, sum: Tally): string | null {
  const { gated, onFailure, minHealthy, maxUnavailable } = state.strategy;
  if (!gated || onFailure === 'continue' || sum.blamed === 0) return null;
  const hopeful = sum.updated + sum.updating + sum.waiting;
  const all = hopeful + sum.blamed;
  if (hopeful < minHealthy * all) {
    const share = percent(minHealthy);
    return `${sum.blamed} of ${all} changed devices failed, and ${share} must be healthy`;
  }
  if (maxUnavailable === null || sum.waiting === 0 || sum.updating > 0) return null;
  if (sum.unavailable < maxUnavailable) return null;
  return `${sum.blamed} failed devices use up the disruption budget of ${maxUnavailable}`;
}

/** Nobody of the batches so far is on the way, and somebody of this batch has spoken. */
export function isThrough(sum: Tally): boolean {
  if (sum.updating > 0 || sum.waiting > 0) return false;
  return sum.inBatch === 0 || sum.spoke > 0;
}

export function countsOf(devices: Iterable<Device>): RolloutCounts {
  const counts = { updated: 0, pending: 0, unknown: 0, failed: 0 };
  for (const { status } of devices) {
    if (status === 'gone') continue;
    counts[status === 'updating' ? 'pending' : status] += 1;
  }
  return counts;
}

export function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`;
}
