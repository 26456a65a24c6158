/**
 * Puts another version of a job in the place of the one that runs, and back again.
 *
 * Between two cycles, with everything before on disk: the state that can be kept is copied into a
 * new slot (marked as garbage until the switch, so that a crash leaves nothing behind), the new
 * version is started over it, and one commit holds the journal entry, the job's record and the end
 * of the mark. The old slot stays as it is, frozen, until the new version is confirmed. A version
 * that cannot start leaves the old one running, untouched (I10).
 *
 * Going back restores the frozen slot and reads the journal from the switch on with outputs off, up
 * to where the failed version had come: its outputs are out already.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { CheckpointStore } from '../checkpoints/checkpoint-store.ts';
import { afterStep, stepPrefix } from '../checkpoints/state-codec.ts';
import { isBefore } from '../journal/block-format.ts';
import type { Journal } from '../journal/journal.ts';
import type { CommitCycle } from './commit-cycle.ts';
import type { JobHost } from './job-host.ts';
import {
  type JobRecord,
  type Position,
  putGarbage,
  putNextSlot,
  readNextSlot,
  removeGarbage,
  type StepRecord,
  type VersionRecord,
} from './job-record.ts';
import type { JobSet } from './job-set.ts';
import type { RunnableJob } from './runnable-job.ts';
import { planState } from './state-plan.ts';

const COPIED_PER_COMMIT = 2000;

export interface VersionSwitchOptions {
  readonly store: CheckpointStore;
  readonly journal: Journal;
  readonly cycle: CommitCycle;
  readonly jobs: JobSet;
}

export class VersionSwitch {
  readonly #options: VersionSwitchOptions;

  constructor(options: VersionSwitchOptions) {
    this.#options = options;
  }

  /**
   * Within `cycle.exclusive`: `desired` takes over from `old`, which may be lagging or paused; it
   * goes on from where that is. Throws when it cannot start or keep the state; `old` then goes on.
   */
  async replace(old: JobHost, desired: DesiredJob, runnable: RunnableJob): Promise<JobHost> {
    const { journal, cycle, jobs } = this.#options;
    const { current } = old.record;
    const plan = planState(current.steps, runnable.steps);
    const incompatible = plan.incompatible.length > 0;
    if (incompatible && runnable.onIncompatibleState === 'fail') {
      throw new RunnelError(
        'state_incompatible',
        `the state of ${plan.incompatible.join(', ')} does not fit version ${desired.version}`,
        { hint: 'Set onIncompatibleState to reset or replay.' },
      );
    }
    const replay = incompatible && runnable.onIncompatibleState === 'replay';
    const kept = replay ? [] : plan.kept;
    const slot = await this.#newSlot();
    await this.#copy(current.slot, slot, kept);
    const first = { ...journal.firstOffset, records: journal.recordsDropped };
    const host = this.#takeOver(old, runnable, (record, at) => ({
      ...record,
      current: versionRecord(desired, slot, kept),
      paused: desired.paused,
      offset: replay ? first : record.offset,
      muteUntil: replay ? later(at, record.muteUntil) : record.muteUntil,
      failure: null,
      previous: { version: record.current, offset: at, runMs: cycle.runMs },
      attempted: null,
      deaths: 0,
    }));
    const { record, position } = old;
    const older = record.previous?.version.slot;
    jobs.once((tx) => {
      removeGarbage(tx, slot);
      if (older !== undefined) jobs.discardState(tx, older);
    });
    cycle.controlHeld(this.#entry(record, desired, position));
    await this.#swap(old, host);
    return host;
  }

  /** Within `cycle.exclusive`: the version before the current one comes back with its state. */
  async restore(
    old: JobHost,
    runnable: RunnableJob,
    fields: Pick<JobRecord, 'attempted' | 'paused'>,
  ): Promise<JobHost> {
    const { cycle, jobs } = this.#options;
    const { previous, current } = old.record;
    if (previous === null) throw new RunnelError('no_previous_version', 'nothing to go back to');
    const host = this.#takeOver(old, runnable, (record, at) => ({
      ...record,
      ...fields,
      current: previous.version,
      offset: previous.offset,
      muteUntil: later(at, record.muteUntil),
      failure: null,
      previous: null,
      deaths: 0,
    }));
    jobs.once((tx) => jobs.discardState(tx, current.slot));
    cycle.controlHeld({
      kind: 'version',
      job: old.record.name,
      from: current.version,
      to: previous.version.version,
      at: [previous.offset.block, previous.offset.index],
    });
    await this.#swap(old, host);
    return host;
  }

  /**
   * Puts the old version back to its last commit: what a lagging one has read on since is neither
   * in its state on disk nor in the outbox. One that was running goes on when the new one cannot.
   */
  #takeOver(
    old: JobHost,
    runnable: RunnableJob,
    record: (before: JobRecord, at: Position) => JobRecord,
  ): JobHost {
    const ran = old.isLive || old.isCatchingUp;
    if (ran) old.pause('stopped');
    try {
      return this.#trial(record(old.record, old.position), runnable);
    } catch (error) {
      if (ran) this.#options.jobs.start(old);
      throw error;
    }
  }

  /** Starts it beside the one that ran: it must come up before it takes over. */
  #trial(record: JobRecord, runnable: RunnableJob): JobHost {
    const host = this.#options.jobs.host(record, runnable);
    host.update({});
    if (record.paused) {
      host.pause('paused');
      return host;
    }
    host.start(true);
    if (host.phase === 'backoff') {
      throw new RunnelError('job_cannot_start', host.lastError ?? 'it did not start');
    }
    return host;
  }

  async #swap(old: JobHost, host: JobHost): Promise<void> {
    const { jobs, cycle } = this.#options;
    jobs.remove(old);
    jobs.hosts.set(host.record.name, host);
    // When this fails, the cycle has brought back what is on disk: the old version.
    await cycle.commitHeld();
  }

  #entry(record: JobRecord, desired: DesiredJob, at: Position) {
    const { name, current } = record;
    const place = [at.block, at.index] as const;
    if (current.version === desired.version) {
      const { version, parameters } = desired;
      return { kind: 'parameters', job: name, version, parameters, at: place } as const;
    }
    const { version } = desired;
    return { kind: 'version', job: name, from: current.version, to: version, at: place } as const;
  }

  async #newSlot(): Promise<number> {
    const { store } = this.#options;
    const slot = readNextSlot(store);
    await store.commit((tx) => {
      putNextSlot(tx, slot + 1);
      putGarbage(tx, slot);
    });
    return slot;
  }

  async #copy(from: number, to: number, steps: readonly StepRecord[]): Promise<void> {
    const { store } = this.#options;
    for (const { index } of steps) {
      let start: Uint8Array | undefined = stepPrefix(from, index);
      while (start !== undefined) {
        const range = { start, end: afterStep(from, index), limit: COPIED_PER_COMMIT + 1 };
        const entries = [...store.range('state', range)];
        const batch = entries.slice(0, COPIED_PER_COMMIT);
        await store.commit((tx) => {
          for (const { key, value } of batch) tx.put('state', moved(key as Buffer, to), value);
        });
        start = entries[COPIED_PER_COMMIT]?.key as Uint8Array | undefined;
      }
    }
  }
}

export function versionRecord(
  desired: DesiredJob,
  slot: number,
  steps: readonly StepRecord[],
): VersionRecord {
  const { version, hash, document, parameters } = desired;
  return { version, hash, document, parameters, slot, steps };
}

/** Outputs stay off until both: a replay may itself be interrupted. */
function later(at: Position, mute: Position | null): Position {
  return mute !== null && isBefore(at, mute) ? mute : at;
}

function moved(key: Buffer, slot: number): Buffer {
  const copy = Buffer.from(key);
  copy.writeUInt32BE(slot, 0);
  return copy;
}
