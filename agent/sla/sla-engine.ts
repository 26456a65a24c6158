/**
 * Judges what the jobs of this device promise, from power-on, with or without a network (I4).
 *
 * It looks once a second at what is due, and when a run changed: never at records. A change of a
 * verdict is written in the commit that holds its row for the control plane, so that its history
 * has it exactly once, however long the device was offline. Facts that are kept between two looks
 * go along with other commits, at most every ten seconds, and with every change.
 *
 * Time is that of engine-time.ts: while it is unknown nothing is judged, and when the clock is set
 * what is old stays as old as it was.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { DefinitionError, messageOf } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import { deadlineTimes } from '@runnel/shared/sla/deadlines.ts';
import type { SlaChange } from '@runnel/shared/sla/sla-state.ts';
import { BatchClock } from '../batch/schedule/batch-clock.ts';
import { EngineTime } from '../batch/schedule/engine-time.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { type HeldJob, HeldPromise, type SlaSource } from './held-promise.ts';
import { decodeSla, putSla, type SlaRecord, slaKey } from './sla-record.ts';

const TICK_MS = 1000;
const KEEP_EVERY_MS = 10_000;

export interface SlaEngineOptions {
  readonly store: CheckpointStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** The newest time in the store; null in a new one. */
  readonly lastMs: number | null;
  readonly isSynchronised: (nowMs: number) => boolean;
  /** What the runtime knows of a job now. */
  readonly source: (job: string) => SlaSource;
  readonly row: (text: string) => void;
  /** Asks for a commit. */
  readonly wake: () => void;
  /** Verdicts of this job changed, and are on disk. */
  readonly changed: (job: string) => void;
}

interface Pending {
  readonly job: string;
  readonly row: string;
}

export class SlaEngine {
  readonly #options: SlaEngineOptions;
  readonly #time: EngineTime;
  #held = new Map<string, HeldPromise>();
  /** Keys in the store whose promises are not made any more. */
  #gone: [string, string, string][] = [];
  #pending: Pending[] = [];
  /** How many of them are in the commit in flight. */
  #staged = 0;
  #written: readonly HeldPromise[] = [];
  #keptAtMs = -Infinity;
  readonly #touched = new Set<string>();
  #cancelTick: () => void = () => undefined;

  constructor(options: SlaEngineOptions) {
    this.#options = options;
    const { clock, lastMs, isSynchronised } = options;
    // The log tells of a jump where schedules do: here it is only allowed for.
    const onJump = (): void => undefined;
    this.#time = new EngineTime({
      clock,
      batchClock: new BatchClock({ clock, lastMs, isSynchronised, onJump }),
      stepped: (deltaMs) => {
        for (const held of this.#held.values()) held.shift(deltaMs);
      },
    });
  }

  get isDirty(): boolean {
    return this.#pending.length > 0 || this.#gone.length > 0;
  }

  /** What these jobs promise is judged, and nothing else. */
  applyJobs(desired: readonly DesiredJob[]): void {
    const { store, source, lastMs } = this.#options;
    const { nowMs: now } = this.#time.look();
    const before = this.#held;
    const after = new Map<string, HeldPromise>();
    for (const job of desired.flatMap((each) => this.#promisesOf(each))) {
      const key = keyOf(job.name, job.sla.name);
      const known = before.get(key);
      if (known !== undefined && isSame(known.job, job)) {
        after.set(key, known);
        continue;
      }
      const bytes = store.get('meta', slaKey(job.name, job.sla.name));
      const stored = known?.record ?? (bytes === undefined ? undefined : this.#decoded(bytes));
      const madeBy = known === undefined ? lastMs : null;
      after.set(key, new HeldPromise(job, stored, source(job.name), now, madeBy));
    }
    for (const [key, held] of before) {
      if (!after.has(key)) this.#take(held, held.end(now), now);
    }
    this.#held = after;
    this.#forgetOthers();
    this.#look();
  }

  start(): void {
    this.#cancelTick();
    this.#cancelTick = this.#options.clock.after(TICK_MS, () => {
      try {
        this.#look();
      } catch (error) {
        this.#options.log.error({ error: messageOf(error) }, 'promises were not judged');
      }
      this.start();
    });
  }

  stop(): void {
    this.#cancelTick();
  }

  /** A run of the job changed. */
  touched(job: string): void {
    this.#touched.add(job);
  }

  reports(): SlaReport[] {
    const { nowMs: now, known } = this.#time.read();
    if (!known) return [];
    const sources = new Map<string, SlaSource>();
    return [...this.#held.values()].flatMap((held) => {
      const report = held.report(this.#sourceOf(held.job.name, sources), now);
      return report === null ? [] : [report];
    });
  }

  stage(tx: StoreTx): void {
    const { clock, row } = this.#options;
    for (const { row: text } of this.#pending) row(text);
    this.#staged = this.#pending.length;
    for (const key of this.#gone) tx.remove('meta', key);
    const nowMs = clock.monotonicMs();
    if (this.#staged === 0 && nowMs - this.#keptAtMs < KEEP_EVERY_MS) return;
    this.#keptAtMs = nowMs;
    this.#written = [...this.#held.values()].filter(({ isStale }) => isStale);
    for (const held of this.#written) {
      putSla(tx, held.job.name, held.job.sla.name, held.record);
      held.isStale = false;
    }
  }

  committed(): void {
    const told = this.#pending.splice(0, this.#staged);
    this.#staged = 0;
    this.#written = [];
    this.#gone = [];
    for (const job of new Set(told.map((each) => each.job))) this.#options.changed(job);
  }

  /** What was not written is written by the next commit: nothing is judged twice. */
  reload(): void {
    this.#staged = 0;
    for (const held of this.#written) held.isStale = true;
    this.#written = [];
  }

  #promisesOf({ name, version, document, paused }: DesiredJob): HeldJob[] {
    const promised = (document as { readonly sla?: unknown } | null)?.sla;
    if (paused || !Array.isArray(promised) || promised.length === 0) return [];
    try {
      const job = parseJobDocument(document);
      const triggers = job.kind === 'BatchJob' ? (job.schedule?.triggers ?? []) : [];
      const isOfRuns = job.kind === 'BatchJob';
      return job.sla.flatMap((sla) => {
        const needsRuns = sla.kind === 'deadline' || sla.kind === 'duration';
        if (sla.kind === 'completeness' || (needsRuns && !isOfRuns)) return [];
        const times = sla.kind === 'deadline' ? deadlineTimes(sla, triggers) : null;
        return [{ name, version, sla, times }];
      });
    } catch (error) {
      if (error instanceof DefinitionError) return [];
      throw error;
    }
  }

  #look(): void {
    const { nowMs: now, known } = this.#time.look();
    if (!known) return;
    const sources = new Map<string, SlaSource>();
    for (const held of this.#held.values()) {
      const { name } = held.job;
      const source = this.#sourceOf(name, sources);
      const isNews = held.gather(source, now) || this.#touched.has(name);
      if (!isNews && held.nextAt > now && held.record.state.kind !== 'unknown') continue;
      this.#take(held, held.look(source, now), now);
    }
    this.#touched.clear();
  }

  #take(held: HeldPromise, changes: readonly SlaChange[], now: number): void {
    if (changes.length === 0) return;
    const { name: job } = held.job;
    for (const change of changes) this.#pending.push({ job, row: held.row(change, now) });
    this.#options.wake();
  }

  #sourceOf(job: string, known: Map<string, SlaSource>): SlaSource {
    const found = known.get(job) ?? this.#options.source(job);
    known.set(job, found);
    return found;
  }

  #forgetOthers(): void {
    const range = { start: ['sla'], end: ['sla', '\uffff'] };
    this.#gone = [...this.#options.store.keys('meta', range)]
      .map((key) => key as [string, string, string])
      .filter(([, job, name]) => !this.#held.has(keyOf(job, name)));
    if (this.#gone.length > 0) this.#options.wake();
  }

  /** A record of a newer release is begun anew: a verdict is no reason not to start. */
  #decoded(bytes: Uint8Array): SlaRecord | undefined {
    try {
      return decodeSla(bytes);
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, 'a promise is judged from now on');
      return undefined;
    }
  }
}

function keyOf(job: string, name: string): string {
  return `${job}/${name}`;
}

function isSame(a: HeldJob, b: HeldJob): boolean {
  return a.version === b.version && JSON.stringify(a.sla) === JSON.stringify(b.sla);
}
