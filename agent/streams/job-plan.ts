/**
 * Brings the jobs of this agent to what is desired: new ones begin at the journal's head, changed
 * ones are switched or restored, paused ones keep their place, the others go. One call at a time.
 *
 * Whatever is wrong with a job is contained: it is reported as attempted, with the reason, and what
 * ran before goes on (I10). An attempt that was refused is made again at the next start of the
 * agent or with another document, not with every call.
 */
import type { Logger } from 'pino';
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { CheckpointStore } from '../checkpoints/checkpoint-store.ts';
import type { CommitCycle } from './commit-cycle.ts';
import type { JobHost } from './job-host.ts';
import {
  type Attempt,
  type JobRecord,
  putNextSlot,
  readNextSlot,
  removeJob,
} from './job-record.ts';
import type { JobSet } from './job-set.ts';
import type { CompileJob, RunnableJob } from './runnable-job.ts';
import { versionRecord, type VersionSwitch } from './version-switch.ts';

/** Deaths of the process, unclean stops, under an unconfirmed version; then it is given up. */
export const DEATHS_MAX = 3;

/** A job that may not run here: local policy, a capability, … */
export interface RefusedJob {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly reason: string;
}

export interface JobPlanOptions {
  readonly store: CheckpointStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly cycle: CommitCycle;
  readonly jobs: JobSet;
  readonly versions: VersionSwitch;
  readonly compile: CompileJob;
  readonly changed: (report: string) => void;
}

interface Fresh {
  readonly desired: DesiredJob;
  readonly runnable: RunnableJob;
}

export class JobPlan {
  readonly #options: JobPlanOptions;
  /** Jobs of which no version runs, by name. */
  readonly #withoutVersion = new Map<string, Attempt>();
  /** Stored jobs that this release cannot compile: kept until they go or are replaced. */
  readonly #lost = new Map<string, JobRecord>();
  /** Attempts of this process, by name: not made again. */
  readonly #tried = new Map<string, string>();

  constructor(options: JobPlanOptions) {
    this.#options = options;
  }

  /** At the start: a stored job that has no host. */
  cannotCompile(record: JobRecord): void {
    this.#lost.set(record.name, record);
  }

  async apply(desired: readonly DesiredJob[], refused: readonly RefusedJob[]): Promise<void> {
    const named = new Set([...desired, ...refused].map(({ name }) => name));
    const gone = [...this.#options.jobs.hosts.values()].filter(
      ({ record }) => !named.has(record.name),
    );
    for (const name of this.#withoutVersion.keys()) {
      if (!named.has(name)) this.#withoutVersion.delete(name);
    }
    await this.#rollBackDeadly();
    for (const job of refused) {
      this.#attempted(job.name, 'refused', job, job.reason);
      this.#startAsItWas(job.name);
    }
    const fresh: Fresh[] = [];
    for (const job of desired) {
      const runnable = this.#compiled(job);
      const host = this.#options.jobs.hosts.get(job.name);
      if (host === undefined && runnable !== undefined) fresh.push({ desired: job, runnable });
      else if (host !== undefined && runnable !== undefined)
        await this.#change(host, job, runnable);
      else this.#startAsItWas(job.name);
    }
    const lost = [...this.#lost.values()].filter(
      ({ name }) => !named.has(name) || fresh.some((each) => each.desired.name === name),
    );
    if (gone.length + fresh.length + lost.length > 0) await this.#addAndRemove(fresh, gone, lost);
  }

  /** Jobs of which no version runs, as reports. */
  reports(): JobReport[] {
    return [...this.#withoutVersion].map(([name, attempt]) => ({
      name,
      version: null,
      phase: attempt.phase,
      attempted: {
        version: attempt.version,
        phase: attempt.phase,
        reason: attempt.reason,
        at: attempt.at,
      },
      watermark: null,
      lagRecords: 0,
      recordsIn: 0,
      recordsOut: 0,
      late: 0,
      deadLetters: 0,
      dropped: {},
      stateKeys: 0,
    }));
  }

  /** The current version failed again and again before it was confirmed: back to the one before. */
  async giveUp(host: JobHost, error: unknown): Promise<void> {
    const { jobs, cycle, versions, compile, log } = this.#options;
    const { name, previous, current } = host.record;
    if (previous === null || jobs.hosts.get(name) !== host) return;
    const runnable = compile(asDesired(host.record, previous.version));
    const attempted = this.#attempt('failed', current, messageOf(error));
    log.warn({ job: name, from: current.version, to: previous.version.version }, 'rolling back');
    await cycle.exclusive(async () => {
      if (jobs.hosts.get(name) !== host) return;
      await versions.restore(host, runnable, { attempted, paused: host.record.paused });
    });
    this.#options.changed(name);
  }

  /** Versions under which the process died again and again are not started once more. */
  async #rollBackDeadly(): Promise<void> {
    for (const host of this.#options.jobs.hosts.values()) {
      const { deaths, name, previous } = host.record;
      if (host.phase !== 'pending' || previous === null || deaths < DEATHS_MAX) continue;
      const reason = `the agent died ${deaths} times before this version was confirmed`;
      try {
        await this.giveUp(host, new Error(reason));
      } catch (error) {
        if (isStorage(error)) throw error;
        this.#options.log.error({ job: name, error: messageOf(error) }, 'no way back');
      }
    }
  }

  #compiled(job: DesiredJob): RunnableJob | undefined {
    try {
      const runnable = this.#options.compile(job);
      this.#withoutVersion.delete(job.name);
      return runnable;
    } catch (error) {
      this.#attempted(job.name, 'refused', job, messageOf(error));
      return undefined;
    }
  }

  async #change(host: JobHost, desired: DesiredJob, runnable: RunnableJob): Promise<void> {
    const { record } = host;
    if (isSame(record.current, desired)) {
      // Back to what runs: a version that failed before may be asked for anew, and is tried then.
      this.#tried.delete(record.name);
      await this.#pauseOrResume(host, desired.paused);
      return;
    }
    const key = contentKey(desired);
    const failed = record.attempted?.phase === 'failed' && record.attempted.hash === key;
    this.#startAsItWas(record.name);
    if (failed || this.#tried.get(record.name) === key) return;
    this.#tried.set(record.name, key);
    await this.#switch(host, desired, runnable);
  }

  async #switch(host: JobHost, desired: DesiredJob, runnable: RunnableJob): Promise<void> {
    const { cycle, jobs, versions } = this.#options;
    const { name } = host.record;
    try {
      await cycle.exclusive(async () => {
        const old = jobs.hosts.get(name) ?? host;
        const { previous } = old.record;
        if (previous !== null && isSame(previous.version, desired)) {
          await versions.restore(old, runnable, { attempted: null, paused: desired.paused });
        } else {
          await versions.replace(old, desired, runnable);
        }
      });
    } catch (error) {
      // A full disk says nothing about the version: it will be tried again.
      if (isStorage(error)) {
        this.#tried.delete(name);
        throw error;
      }
      this.#attempted(name, 'failed', desired, messageOf(error));
    }
    this.#options.changed(name);
  }

  async #pauseOrResume(host: JobHost, paused: boolean): Promise<void> {
    const { cycle, jobs } = this.#options;
    if (host.record.attempted !== null) host.update({ attempted: null });
    if (host.record.paused === paused) {
      this.#startAsItWas(host.record.name);
      return;
    }
    await cycle.exclusive(async () => {
      host.update({ paused });
      if (paused) host.pause('paused');
      await cycle.commitHeld();
    });
    if (!paused) jobs.start(host);
    this.#options.changed(host.record.name);
  }

  /** After the agent's start: what is stored runs, unless it is paused. */
  #startAsItWas(name: string): void {
    const host = this.#options.jobs.hosts.get(name);
    if (host === undefined || host.phase !== 'pending') return;
    if (host.record.paused) host.pause('paused');
    else this.#options.jobs.start(host);
  }

  async #addAndRemove(
    fresh: readonly Fresh[],
    gone: readonly JobHost[],
    lost: readonly JobRecord[],
  ): Promise<void> {
    const { cycle, jobs, store } = this.#options;
    await cycle.exclusive(async () => {
      for (const host of gone) {
        jobs.remove(host);
        this.#forget(host.record);
      }
      const begun = new Set(fresh.map(({ desired }) => desired.name));
      for (const record of lost) this.#forget(record, begun.has(record.name));
      let slot = readNextSlot(store);
      for (const each of fresh) this.#begin(each, slot++);
      const next = slot;
      jobs.once((tx) => putNextSlot(tx, next));
      await cycle.commitHeld();
    });
    for (const { name } of lost) this.#lost.delete(name);
    for (const { desired } of fresh) this.#options.changed(desired.name);
    for (const host of gone) this.#options.changed(host.record.name);
  }

  /** The record and its state; only the state where another record takes its place. */
  #forget({ name, current, previous }: JobRecord, isReplaced = false): void {
    const { jobs } = this.#options;
    this.#tried.delete(name);
    jobs.once((tx) => {
      if (!isReplaced) removeJob(tx, name);
      jobs.discardState(tx, current.slot);
      if (previous !== null) jobs.discardState(tx, previous.version.slot);
    });
  }

  #begin({ desired, runnable }: Fresh, slot: number): void {
    const { jobs } = this.#options;
    const record: JobRecord = {
      name: desired.name,
      current: versionRecord(desired, slot, []),
      paused: desired.paused,
      offset: null,
      muteUntil: null,
      failure: null,
      previous: null,
      attempted: null,
      deaths: 0,
    };
    const host = jobs.host(record, runnable);
    host.update({});
    if (desired.paused) {
      host.pause('paused');
    } else {
      host.start(true);
      if (host.phase === 'backoff') {
        this.#attempted(desired.name, 'failed', desired, host.lastError ?? 'it did not start');
        return;
      }
    }
    jobs.hosts.set(desired.name, host);
  }

  #attempted(
    name: string,
    phase: Attempt['phase'],
    version: { readonly version: number; readonly hash: string; readonly parameters?: unknown },
    reason: string,
  ): void {
    const attempt = this.#attempt(phase, version, reason);
    this.#options.log.warn({ job: name, version: attempt.version, reason }, 'version not taken');
    const host = this.#options.jobs.hosts.get(name);
    if (host === undefined) this.#withoutVersion.set(name, attempt);
    else if (host.record.attempted?.reason !== reason) host.update({ attempted: attempt });
    this.#options.changed(name);
  }

  #attempt(
    phase: Attempt['phase'],
    version: { readonly version: number; readonly hash: string; readonly parameters?: unknown },
    reason: string,
  ): Attempt {
    const hash = contentKey(version);
    const at = this.#options.clock.now();
    return { version: version.version, phase, reason: reason.slice(0, 1000), at, hash };
  }
}

function asDesired(record: JobRecord, version: JobRecord['current']): DesiredJob {
  const { hash, document, parameters } = version;
  const { name, paused } = record;
  return { name, version: version.version, hash, document, parameters: { ...parameters }, paused };
}

export function compileRecord(compile: CompileJob, record: JobRecord): RunnableJob {
  return compile(asDesired(record, record.current));
}

/** Ids of the sources of every version, the frozen ones included; throws what `compile` throws. */
export function usedSources(compile: CompileJob, records: readonly JobRecord[]): Set<string> {
  const used = new Set<string>();
  for (const record of records) {
    for (const version of [record.current, record.previous?.version]) {
      if (version === undefined) continue;
      for (const { connector } of compile(asDesired(record, version)).sources) {
        used.add(connector.id);
      }
    }
  }
  return used;
}

/** Document and parameters: what makes a version what it is. */
function contentKey(version: { readonly hash: string; readonly parameters?: unknown }): string {
  return `${version.hash} ${canonicalJson(version.parameters ?? {})}`;
}

function isSame(stored: JobRecord['current'], desired: DesiredJob): boolean {
  return stored.version === desired.version && contentKey(stored) === contentKey(desired);
}

function isStorage(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && (code.startsWith('storage_') || code === 'agent_closing');
}
