/**
 * The state of a rollout as text in the store: JSON, `v` 1, with one short list for each device, so
 * that a fleet of ten thousand is a few hundred kilobytes. A text of a later release is refused
 * (`store_version`), never misread.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { RolloutRow } from '../store/rollouts.ts';
import type { Device, DeviceStatus } from './rollout-device.ts';
import type { RolloutState } from './rollout-state.ts';

const RECORD_VERSION = 1;

/** The index is what is stored: only ever added to. */
const STATUSES: readonly DeviceStatus[] = [
  'pending',
  'updating',
  'updated',
  'failed',
  'unknown',
  'gone',
];

const MOVED = 1;
const APPLIED = 2;
const REACHED = 4;
const EXCUSED = 8;

/** Agent, name, batch, assigned, sinceMs, toldAt, status, flags, reason. */
type DeviceRecord = readonly [
  string,
  string,
  number,
  number | null,
  number,
  number,
  number,
  number,
  string,
];

export function rolloutRow(state: RolloutState, current: boolean): RolloutRow {
  const { id, job, version, phase, startedAt, endedAt } = state;
  const devices = [...state.devices].map(deviceRecord);
  const text = JSON.stringify({ v: RECORD_VERSION, ...state, devices });
  return { rollout: id, job, version, phase, current, startedAt, endedAt, state: text };
}

/** Errors: `store_version`. */
export function rolloutState(text: string): RolloutState {
  const { v, devices, ...rest } = JSON.parse(text) as Omit<RolloutState, 'devices'> & {
    v: number;
    devices: DeviceRecord[];
  };
  if (v !== RECORD_VERSION) {
    throw new RunnelError('store_version', `a rollout in the store has format ${v}`, {
      hint: 'start the release that wrote it',
    });
  }
  return { ...rest, devices: new Map(devices.map(deviceOf)) };
}

function deviceRecord([agent, device]: readonly [string, Device]): DeviceRecord {
  const { name, batch, assigned, sinceMs, toldAt, status, reason } = device;
  const flags =
    (device.moved ? MOVED : 0) |
    (device.applied ? APPLIED : 0) |
    (device.reached ? REACHED : 0) |
    (device.excused ? EXCUSED : 0);
  const index = STATUSES.indexOf(status);
  return [agent, name, batch, assigned, Math.round(sinceMs), toldAt, index, flags, reason];
}

/** Nobody was heard yet by who reads it. */
function deviceOf(record: DeviceRecord): [string, Device] {
  const [agent, name, batch, assigned, sinceMs, toldAt, index, flags, reason] = record;
  const status = STATUSES[index] ?? 'unknown';
  const device: Device = {
    ...{ name, batch, assigned, sinceMs, toldAt, status, reason },
    moved: (flags & MOVED) !== 0,
    applied: (flags & APPLIED) !== 0,
    reached: (flags & REACHED) !== 0,
    excused: (flags & EXCUSED) !== 0,
    heard: false,
  };
  return [agent, device];
}
