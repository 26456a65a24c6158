/**
 * The judge of promises in the agent: loaded with the first job that promises something, or when
 * there is something of one in the store, so that an agent without promises carries nothing of it.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import type { RunRecord } from '../batch/records.ts';
import { keys } from '../batch/runs/job-record.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import type { Journal } from '../journal/journal.ts';
import type { Outbox } from '../outbox/outbox.ts';
import type { SlaSource } from '../sla/held-promise.ts';
import type { SlaEngine } from '../sla/sla-engine.ts';
import type { BatchSlot } from './batch-slot.ts';
import type { JobSet } from './job-set.ts';
import type { Participant } from './participant.ts';

export interface SlaSlotParts {
  readonly store: CheckpointStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly isClockSynchronised?: (nowMs: number) => boolean;
  readonly journal: Journal;
  readonly outbox: Outbox;
  readonly jobs: JobSet;
  readonly batch: () => BatchSlot;
  readonly wake: () => void;
  readonly changed: (job: string) => void;
}

export class SlaSlot implements Participant {
  readonly #parts: SlaSlotParts;
  #engine: SlaEngine | undefined;
  #unlisten: (() => void) | undefined;

  constructor(parts: SlaSlotParts) {
    this.#parts = parts;
  }

  get isDirty(): boolean {
    return this.#engine?.isDirty ?? false;
  }

  stage(tx: StoreTx): void {
    this.#engine?.stage(tx);
  }

  committed(): void {
    this.#engine?.committed();
  }

  reload(): void {
    this.#engine?.reload();
  }

  /** After the jobs themselves. */
  async apply(desired: readonly DesiredJob[]): Promise<void> {
    if (this.#engine === undefined && !this.#isNeeded(desired)) return;
    this.#engine ??= await this.#load();
    const engine = this.#engine;
    this.#unlisten ??= this.#parts
      .batch()
      .engine?.onRunChange(({ run }) => engine.touched(run.job));
    engine.applyJobs(desired);
    engine.start();
  }

  reports(): readonly SlaReport[] | undefined {
    return this.#engine?.reports();
  }

  stop(): void {
    this.#unlisten?.();
    this.#engine?.stop();
  }

  #isNeeded(desired: readonly DesiredJob[]): boolean {
    const { store } = this.#parts;
    const [stored] = store.keys('meta', { start: ['sla'], end: ['sla', '\uffff'], limit: 1 });
    const promises = ({ document }: DesiredJob): boolean => {
      const { sla } = (document ?? {}) as { readonly sla?: unknown };
      return Array.isArray(sla) && sla.length > 0;
    };
    return stored !== undefined || desired.some(promises);
  }

  async #load(): Promise<SlaEngine> {
    const { SlaEngine: Engine } = await import('../sla/sla-engine.ts');
    const { store, clock, log, journal, outbox, wake, changed } = this.#parts;
    const { isClockSynchronised = () => true } = this.#parts;
    return new Engine({
      ...{ store, clock, log, wake, changed },
      lastMs: journal.now,
      isSynchronised: isClockSynchronised,
      source: (job) => this.#source(job),
      row: (text) => outbox.add('alerts', text),
    });
  }

  #source(job: string): SlaSource {
    const { jobs, outbox, batch } = this.#parts;
    const { oldestAt } = outbox.depth();
    const host = jobs.hosts.get(job);
    if (host !== undefined) {
      const { recordsIn, recordsOut, deadLetters } = host.totals();
      const totals = { total: recordsIn, failed: deadLetters, outputs: recordsOut };
      return { runs: null, totals, oldestAt };
    }
    const { engine, writes } = batch();
    if (engine === undefined) return { runs: null, totals: null, oldestAt };
    const runs = writes.list<string>(['runs', job]).flatMap(({ value: id }) => {
      const run = writes.get<RunRecord>(keys.run(id));
      return run === undefined ? [] : [run];
    });
    return { runs, totals: null, oldestAt };
  }
}
