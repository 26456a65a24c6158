/**
 * Hosts one job: feeds it the journal in order, keeps its state, outputs and totals until they are
 * committed, and contains what goes wrong in it (I10).
 *
 * A job is *live* when it has processed everything up to the journal's head: it gets every item as
 * it comes in and stores no offset of its own. Otherwise it has a position, from which it reads the
 * journal in bounded slices until it has caught up.
 *
 * A throw costs the job its dirty state and outputs since the last commit: the instance is dropped,
 * the position goes back there, and a new instance is made after a pause. A record that fails three
 * times goes to the dead letters and is passed over.
 */
import { assert, messageOf } from '@runnel/shared/errors.ts';
import { type EpochMs, epochMs } from '@runnel/shared/ids.ts';
import type { Codec } from '@runnel/shared/definitions/source-definition.ts';
import type { StreamJobInstance } from '@runnel/shared/engine/stream-job.ts';
import type { JobPhase } from '@runnel/shared/protocol/heartbeat.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { isBefore, type Offset } from '../journal/block-format.ts';
import type { BlockReader } from '../journal/block-reader.ts';
import type { Journal } from '../journal/journal.ts';
import { rawText } from './decode.ts';
import { JobOutputs, type OutputTargets } from './job-outputs.ts';
import { type JobRecord, type JobTotals, type Position, putJob, putTotals } from './job-record.ts';
import { JobTotalsMeter } from './job-totals.ts';
import type { RunnableJob } from './runnable-job.ts';
import type { StateBudget } from './state-budget.ts';
import { StateCache } from './state-cache.ts';
import { type RecordItem, type StreamItem, streamItem } from './stream-item.ts';

export const FAILURES_MAX = 3;
/** Items fed between two looks at the clock. */
const SLICE_ITEMS = 64;
/** Outputs that wait for their commit before catching up pauses. */
const OUTPUTS_MAX = 5000;

export interface JobHostOptions {
  readonly store: CheckpointStore;
  readonly journal: Journal;
  readonly budget: StateBudget;
  readonly targets: OutputTargets;
  readonly monotonicMs: () => number;
  /** The job threw; the host is in phase `backoff`. */
  readonly failed: (host: JobHost, error: unknown) => void;
}

interface Alias {
  readonly alias: string;
  readonly codec: Codec;
}

export class JobHost {
  readonly #options: JobHostOptions;
  readonly runnable: RunnableJob;
  readonly #aliases = new Map<string, Alias[]>();
  readonly #meter: JobTotalsMeter;
  readonly #outputs: JobOutputs;
  #record: JobRecord;
  #recordDirty = false;
  #phase: JobPhase = 'pending';
  #instance: StreamJobInstance | undefined;
  #cache: StateCache | undefined;
  #position: Position;
  /** Where it goes back to when it throws: the position in the last commit that was prepared. */
  #base: Position;
  /** `muteUntil` at the base: outputs that go on beyond it are not committed either. */
  #baseMute: Position | null;
  #reader: BlockReader | undefined;
  #touched = false;
  /** Failures in a row; for the backoff. */
  failures = 0;
  lastError: string | undefined;

  constructor(
    options: JobHostOptions,
    record: JobRecord,
    runnable: RunnableJob,
    totals: JobTotals,
  ) {
    this.#options = options;
    this.#record = record;
    this.runnable = runnable;
    this.#meter = new JobTotalsMeter(totals);
    this.#outputs = new JobOutputs(record, runnable, this.#meter);
    this.#position = record.offset ?? this.head();
    this.#base = this.#position;
    this.#baseMute = record.muteUntil;
    for (const { alias, codec, connector } of runnable.sources) {
      const { id } = connector;
      this.#aliases.set(id, [...(this.#aliases.get(id) ?? []), { alias, codec }]);
    }
  }

  get record(): JobRecord {
    return this.#record;
  }

  get phase(): JobPhase {
    return this.#phase;
  }

  get isLive(): boolean {
    return this.#phase === 'running';
  }

  get isCatchingUp(): boolean {
    return this.#phase === 'catchingUp';
  }

  /** Where it stands; the head for a live job. */
  get position(): Position {
    return this.isLive ? this.head() : this.#position;
  }

  /** The oldest block that it may still need. */
  get neededBlock(): number {
    return this.isLive
      ? this.#options.journal.nextBlock
      : Math.min(this.#position.block, this.#base.block);
  }

  get isDirty(): boolean {
    return this.#recordDirty || this.#touched || this.#outputs.count > 0;
  }

  get isUrgent(): boolean {
    return this.#outputs.urgent;
  }

  get sourceIds(): Iterable<string> {
    return this.#aliases.keys();
  }

  head(): Position {
    const { journal } = this.#options;
    return { block: journal.nextBlock, index: 0, records: journal.recordsTotal };
  }

  update(fields: Partial<JobRecord>): void {
    this.#record = { ...this.#record, ...fields };
    this.#recordDirty = true;
  }

  /**
   * Makes an instance over what is committed. `live` only when nothing is gathered that it has not
   * seen. A throw of the job is contained like any other.
   */
  start(live: boolean): void {
    this.#drop();
    const { store, budget } = this.#options;
    const { current, muteUntil } = this.#record;
    this.#outputs.muted = muteUntil !== null && isBefore(this.#position, muteUntil);
    try {
      const cache = new StateCache(store, current.slot, current.steps, budget, (step) =>
        this.#addStep(step.id, step.index, step.version),
      );
      this.#cache = cache;
      this.#instance = this.runnable.create(cache, this.#outputs);
      this.#meter.attach(this.#instance.counters);
      const atHead = this.#position.block >= this.#options.journal.nextBlock;
      this.#phase = live && atHead ? 'running' : 'catchingUp';
      if (this.isLive) this.#join();
    } catch (error) {
      this.#fail(error, undefined);
    }
  }

  /** Drops the instance; the job goes back to its last commit. */
  pause(phase: 'paused' | 'stopped' | 'backoff'): void {
    this.#position = this.#base;
    if (this.#record.muteUntil !== this.#baseMute) this.update({ muteUntil: this.#baseMute });
    this.#drop();
    this.#phase = phase;
  }

  /** Items that have just come in; for a live job. */
  process(items: readonly StreamItem[]): void {
    if (this.isLive) this.#feed(items, 0, items.length);
  }

  /**
   * Reads on from its position for about `budgetMs`; returns whether it has reached the end of the
   * journal (staged blocks included).
   */
  catchUp(budgetMs: number): boolean {
    const { monotonicMs, journal } = this.#options;
    const endMs = monotonicMs() + budgetMs;
    while (this.isCatchingUp && this.#outputs.count < OUTPUTS_MAX) {
      if (this.#position.block >= journal.nextBlock) return true;
      this.#slice();
      if (monotonicMs() >= endMs) break;
    }
    return this.isCatchingUp && this.#position.block >= journal.nextBlock;
  }

  /** Whether `catchUp` can go on before the next commit. */
  get canSlice(): boolean {
    return this.isCatchingUp && this.#outputs.count < OUTPUTS_MAX;
  }

  /** It has seen everything: from now on it gets items as they come in. */
  join(): void {
    this.#phase = 'running';
    this.#join();
  }

  nextTickMs(): EpochMs | undefined {
    return this.isLive ? this.#instance?.nextTickMs() : undefined;
  }

  stage(tx: StoreTx, commit: number): void {
    if (this.#cache !== undefined) this.#cache.stage(tx, commit);
    this.#outputs.handOver(this.#options.targets);
    if (this.#outputs.muted) this.#meter.restartCounting();
    const totals = this.#meter.stage();
    if (totals !== undefined) putTotals(tx, this.#record.name, totals);
    this.#touched = false;
    this.#base = this.position;
    this.#baseMute = this.#record.muteUntil;
    this.#stageOffset();
    if (this.#recordDirty) putJob(tx, this.#record);
    this.#recordDirty = false;
  }

  totals(): JobTotals {
    return this.#meter.total();
  }

  get watermarkMs(): EpochMs | undefined {
    return this.#instance?.watermarkMs();
  }

  get stateKeys(): number {
    return this.#cache?.keys ?? 0;
  }

  /** The journal dropped what it had not read: it moves on and counts them. */
  skipDropped(): void {
    const { journal } = this.#options;
    const first = journal.firstOffset;
    if (this.isLive || !isBefore(this.#position, first)) return;
    const records = journal.recordsDropped;
    this.#meter.skipped(Math.max(0, records - this.#position.records));
    this.#position = { ...first, records };
    this.#reader = undefined;
    this.#touched = true;
    if (isBefore(this.#base, first)) this.#base = this.#position;
  }

  #stageOffset(): void {
    const { offset } = this.#record;
    const at = this.isLive ? null : this.#position;
    const same =
      offset === at ||
      (offset !== null && at !== null && offset.block === at.block && offset.index === at.index);
    if (!same) this.update({ offset: at });
  }

  #slice(): void {
    const { journal } = this.#options;
    if (this.#reader?.block !== this.#position.block) {
      this.#reader = journal.read(this.#position.block);
      if (this.#reader === undefined) {
        this.skipDropped();
        assert(this.#position.block >= journal.firstOffset.block, 'a kept block is missing');
        return;
      }
      this.#reader.seek(this.#position.index);
    }
    const reader = this.#reader;
    const items: StreamItem[] = [];
    while (items.length < SLICE_ITEMS) {
      const item = reader.next();
      if (item === undefined) break;
      items.push(streamItem(reader, item));
    }
    this.#touched = true;
    if (!this.#feed(items, 0, items.length)) return;
    const records = this.#position.records + items.filter(({ kind }) => kind === 'record').length;
    const ended = reader.index >= reader.header.items;
    this.#position = ended
      ? { block: reader.block + 1, index: 0, records }
      : { block: reader.block, index: reader.index, records };
    if (ended) this.#reader = undefined;
  }

  #feed(items: readonly StreamItem[], from: number, to: number): boolean {
    let at = from;
    try {
      for (; at < to; at++) {
        const item = items[at];
        if (item === undefined) continue;
        if (this.#record.muteUntil !== null) this.#unmuteAt(item);
        if (this.#record.failure === null) this.#give(item);
        else this.#giveSuspect(item, this.#record.failure);
      }
      return true;
    } catch (error) {
      this.#fail(error, items[at]);
      return false;
    }
  }

  #give(item: StreamItem): void {
    const instance = this.#instance;
    if (instance === undefined) return;
    if (item.kind === 'record') {
      const aliases = this.#aliases.get(item.source);
      if (aliases === undefined) return;
      this.#touched = true;
      for (const { alias, codec } of aliases) {
        const record = item.decode(codec);
        if (record === undefined) this.#badRecord(item, alias, `bad_${codec}`, 'not valid');
        else instance.record(alias, record, epochMs(item.now));
      }
      return;
    }
    const { entry } = item;
    if (entry.kind === 'tick') {
      this.#touched = true;
      instance.tick(epochMs(item.now));
    } else if (entry.kind === 'clock') {
      this.#touched = true;
      instance.clockSynchronised(entry.synchronised, epochMs(item.now));
    } else if (entry.kind === 'source') {
      for (const { alias } of this.#aliases.get(entry.source) ?? []) {
        this.#touched = true;
        instance.sourceConnected(alias, entry.connected, epochMs(item.now));
      }
    }
  }

  /** An item that may be the one that failed before. */
  #giveSuspect(item: StreamItem, failure: { readonly at: Offset; readonly count: number }): void {
    const same = item.block === failure.at.block && item.index === failure.at.index;
    if (!same || failure.count < FAILURES_MAX) {
      this.#give(item);
    } else if (item.kind === 'record') {
      const [first] = this.#aliases.get(item.source) ?? [];
      this.#badRecord(item, first?.alias ?? '', 'failed', `failed ${failure.count} times`);
    }
    if (!isBefore(item, failure.at)) {
      this.update({ failure: null });
      this.failures = 0;
    }
  }

  #badRecord(item: RecordItem, step: string, reason: string, message: string): void {
    const payload = rawText(item.bytes, item.start, item.end);
    const at = epochMs(item.now);
    const record = { topic: item.topic, payload, time: item.now };
    this.#outputs.deadLetter({ step, reason, message, record, at });
  }

  #unmuteAt(item: Offset): void {
    const { muteUntil } = this.#record;
    if (muteUntil === null || isBefore(item, muteUntil)) return;
    this.#join();
  }

  /** Outputs are on again. */
  #join(): void {
    if (this.#record.muteUntil === null) return;
    this.#outputs.muted = false;
    this.#meter.restartCounting();
    this.update({ muteUntil: null });
  }

  #addStep(id: string, index: number, version: number): void {
    const fingerprint = this.runnable.steps.find((step) => step.id === id)?.stateFingerprint ?? '';
    const { current } = this.#record;
    const steps = [...current.steps, { id, index, version, fingerprint }];
    this.update({ current: { ...current, steps } });
  }

  #fail(error: unknown, item: StreamItem | undefined): void {
    if (item !== undefined) {
      const { failure } = this.#record;
      const same = failure?.at.block === item.block && failure.at.index === item.index;
      const count = same ? failure.count + 1 : 1;
      this.update({ failure: { at: { block: item.block, index: item.index }, count } });
    }
    this.failures++;
    this.lastError = messageOf(error);
    this.pause('backoff');
    this.#options.failed(this, new Error(messageOf(error), { cause: error }));
  }

  #drop(): void {
    this.#cache?.drop();
    this.#cache = undefined;
    this.#instance = undefined;
    this.#reader = undefined;
    this.#outputs.discard();
    this.#meter.detach();
    this.#touched = false;
  }
}
