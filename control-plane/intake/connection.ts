/**
 * Is a device there? Pure verdicts over heartbeats (DESIGN.md §11).
 *
 * `online`; `late` after 2 missed heartbeats; `offline` after 5; `never` before the first. Silence
 * counts only while we could have heard: time without NATS is cut out, and after such a gap (the
 * start of the process is one) verdicts stay as they were for 5 intervals, so that a restart of the
 * control plane does not turn a healthy fleet offline. Time in which this process stood still (a
 * suspended machine, a stopped process) is cut out as well, without such a pause: who is overloaded
 * for ever must not go on calling the dead alive. Only a heartbeat makes a verdict better: who
 * was offline before a restart stays so, however little of its silence this process has witnessed.
 * All times here are monotonic milliseconds.
 *
 * ```
 * interval 10 s     beat                                        half an interval of grace
 *                    0 ──── 10 ──── 20 ─┬─ 30 ──── 40 ──── 50 ─┬─ 60
 *                    online             late (25)              offline (55)
 * ```
 */
import type { ConnectionState } from '@runnel/shared/health/device-health.ts';

/** What was heard of it: a beat, or for how long none; `untold`: nobody could have heard. */
export type Heard = 'beat' | 'untold' | 'quiet' | 'missedSome' | 'missedMany';

/** Only a heartbeat makes it better; each cell is a claim of connection.test.ts. */
const TABLE: { readonly [S in ConnectionState]: { readonly [H in Heard]: ConnectionState } } = {
  online: {
    beat: 'online',
    untold: 'online',
    quiet: 'online',
    missedSome: 'late',
    missedMany: 'offline',
  },
  late: {
    beat: 'online',
    untold: 'late',
    quiet: 'late',
    missedSome: 'late',
    missedMany: 'offline',
  },
  offline: {
    beat: 'online',
    untold: 'offline',
    quiet: 'offline',
    missedSome: 'offline',
    missedMany: 'offline',
  },
  never: {
    beat: 'online',
    untold: 'never',
    quiet: 'never',
    missedSome: 'never',
    missedMany: 'never',
  },
};

export function connectionAfter(state: ConnectionState, heard: Heard): ConnectionState {
  return TABLE[state][heard];
}

const LATE_AFTER_MISSED = 2;
const OFFLINE_AFTER_MISSED = 5;
const PAUSE_INTERVALS = 5;

/** How long we have been able to hear devices. */
export interface Witness {
  /** Of the connection that stands; null while there is none. */
  readonly connectedSinceMs: number | null;
  /** Connected time before that connection. */
  readonly witnessedBeforeMs: number;
}

export const noWitness: Witness = { connectedSinceMs: null, witnessedBeforeMs: 0 };

export function witnessConnected(witness: Witness, nowMs: number): Witness {
  return witness.connectedSinceMs === null ? { ...witness, connectedSinceMs: nowMs } : witness;
}

export function witnessLost(witness: Witness, nowMs: number): Witness {
  return { connectedSinceMs: null, witnessedBeforeMs: witnessedMs(witness, nowMs) };
}

/** This process stood still for that long while it was connected. */
export function witnessStalled(witness: Witness, stalledMs: number): Witness {
  const { connectedSinceMs: since } = witness;
  return since === null ? witness : { ...witness, connectedSinceMs: since + stalledMs };
}

/** Time during which we could hear, up to now. */
export function witnessedMs(witness: Witness, nowMs: number): number {
  const since = witness.connectedSinceMs;
  return witness.witnessedBeforeMs + (since === null ? 0 : nowMs - since);
}

export interface Silence {
  readonly previous: ConnectionState;
  /** `witnessedMs` when it was heard last; 0 when that was before this process began. */
  readonly heardAtWitnessedMs: number;
  readonly intervalMs: number;
}

/** The verdict now, without a heartbeat. */
export function connectionOf(silence: Silence, witness: Witness, nowMs: number): ConnectionState {
  return connectionAfter(silence.previous, silenceOf(silence, witness, nowMs));
}

function silenceOf(silence: Silence, witness: Witness, nowMs: number): Heard {
  const { intervalMs } = silence;
  if (witness.connectedSinceMs === null) return 'untold';
  if (nowMs - witness.connectedSinceMs < PAUSE_INTERVALS * intervalMs) return 'untold';
  const silentMs = witnessedMs(witness, nowMs) - silence.heardAtWitnessedMs;
  const missed = Math.floor((silentMs - intervalMs / 2) / intervalMs);
  if (missed >= OFFLINE_AFTER_MISSED) return 'missedMany';
  return missed >= LATE_AFTER_MISSED ? 'missedSome' : 'quiet';
}
