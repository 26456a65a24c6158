/**
 * One device in a rollout, and the verdict on it. Pure.
 *
 * Guarantees: a device that is not connected is `unknown`, whatever it last said; what it says of
 * a version counts only once it has applied what it was told (an old refusal of the same version is
 * no news); silence of our own making (no NATS, a fresh start) leaves the verdict as it was. The
 * time that a device may take runs on the rollout's clock, which stands still while nothing can be
 * judged, and begins anew when the device comes back.
 */
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { RolloutDeviceState } from '../http/rollout-messages.ts';

/** `gone`: revoked, or its labels or abilities no longer let the job be there; not counted. */
export type DeviceStatus = RolloutDeviceState | 'gone';

export interface Device {
  readonly name: string;
  /** From 0. */
  readonly batch: number;
  /** The version that it is told to run; null for none. */
  readonly assigned: number | null;
  /** This rollout, in the direction in which it goes, told it so. */
  readonly moved: boolean;
  /** When it was told, or came back, by the rollout's clock. */
  readonly sinceMs: number;
  /** When it was told, in epoch ms: breaches from before are not the version's. */
  readonly toldAt: number;
  readonly status: DeviceStatus;
  /** It has applied what it was told, well or not. */
  readonly applied: boolean;
  /** It has run the version since it was told. */
  readonly reached: boolean;
  /** False while it has said nothing since the control plane can hear again. */
  readonly heard: boolean;
  /** A person went on although it had failed: the gate does not count it. */
  readonly excused: boolean;
  /** Why it failed; else empty. */
  readonly reason: string;
}

/** What is known of a device at one moment. */
export interface Sight {
  readonly link: 'heard' | 'unheard' | 'silent';
  /** It is approved, and the version that it is told is placed there. */
  readonly placed: boolean;
  /** It has applied the newest that it was told. */
  readonly current: boolean;
  readonly job: Pick<JobReport, 'version' | 'phase' | 'attempted'> | null;
  /** SLAs of the job that it breaches, with since when in epoch ms. */
  readonly breaches: readonly { readonly sla: string; readonly since: number }[];
}

export interface Yardstick {
  /** What devices are to run in the direction in which the rollout goes. */
  readonly target: number | null;
  readonly clockMs: number;
  /** Null: a device may take as long as it likes. */
  readonly deviceTimeoutMs: number | null;
  /** A paused job runs nowhere: going back, its version is good enough; going forth nothing is. */
  readonly pausedWillDo: boolean;
}

const FAILED = new Set(['failed', 'refused', 'backoff']);
const RUNNING = new Set(['running', 'catchingUp']);

export function judge(device: Device, sight: Sight, by: Yardstick): Device {
  if (!sight.placed) return { ...device, status: 'gone', heard: true, reason: '' };
  if (sight.link === 'unheard') return { ...device, heard: false };
  if (sight.link === 'silent') return { ...device, status: 'unknown', heard: true, reason: '' };
  if (device.assigned !== by.target) {
    return { ...device, status: 'pending', heard: true, reason: '' };
  }
  const returned = device.status === 'unknown' || device.status === 'gone';
  const there: Device = {
    ...device,
    heard: true,
    applied: device.applied || sight.current,
    sinceMs: returned ? by.clockMs : device.sinceMs,
  };
  const failure = there.applied ? failureOf(there, sight, by.target) : null;
  if (failure !== null) return { ...there, status: 'failed', reason: failure };
  if (there.applied && runs(sight.job, by)) {
    return { ...there, status: 'updated', reached: true, reason: '' };
  }
  return inTime({ ...there, status: 'updating', reason: doing(sight.job, by.target) }, by);
}

/** Also called without news of the device: time passes for those that are not there yet. */
export function inTime(device: Device, by: Yardstick): Device {
  if (device.status !== 'updating' || by.deviceTimeoutMs === null || !device.heard) return device;
  const passed = by.clockMs - device.sinceMs;
  if (passed <= by.deviceTimeoutMs) return device;
  const waited = `after ${Math.round(passed / 1000)} s`;
  return { ...device, status: 'failed', reason: `not there ${waited}: ${device.reason}` };
}

function failureOf(device: Device, { job, breaches }: Sight, target: number | null): string | null {
  if (target === null || job === null) return null;
  const { attempted } = job;
  if (attempted?.version === target && FAILED.has(attempted.phase)) {
    return `${attempted.phase}: ${attempted.reason}`;
  }
  if (job.version !== target) return null;
  if (FAILED.has(job.phase)) return `version ${target} is in the phase ${job.phase}`;
  const breach = breaches.find(({ since }) => since >= device.toldAt);
  return breach === undefined ? null : `breaches the SLA ${breach.sla}`;
}

function runs(job: Sight['job'], { target, pausedWillDo }: Yardstick): boolean {
  if (target === null) return job === null || job.version === null;
  if (job?.version !== target) return false;
  return RUNNING.has(job.phase) || (pausedWillDo && job.phase === 'paused');
}

function doing(job: Sight['job'], target: number | null): string {
  if (job === null) return 'it does not speak of the job yet';
  if (target === null) return 'it still has the job';
  if (job.version === target) return `version ${target} is in the phase ${job.phase}`;
  return job.version === null ? 'it runs no version yet' : `it still runs version ${job.version}`;
}
