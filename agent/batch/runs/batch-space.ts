/**
 * Keeps what batch jobs take of the device within its bounds: their share of the store
 * (`limits.batchStoreShare`) and their files below `<data>/batch` (`batch.files` of agent.yaml).
 *
 * Policy: over a bound ended runs go, those that ended first before the others, over all jobs,
 * with records, tables and logs; the last run of each job stays while that is possible, a dataset
 * always. What does not help then is a condition (`batch/store`, `batch/files`), and no run starts
 * until there is room; runs that are under way go on. Counted: `runsTrimmed`.
 *
 * Files are measured at the start and every hour; in between what tasks write is added up, and
 * measured when that passes the bound, at most every 10 s.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Conditions } from '../../resources/conditions.ts';
import type { RunRecord } from '../records.ts';
import { type BatchFiles, measureFiles } from '../tables/measure-files.ts';
import type { TableFiles } from '../tables/table-files.ts';
import { safeName } from '../tables/safe-name.ts';
import type { BatchKey, Space } from './batch-store.ts';
import { type EndedRunsOptions, oldestEnded } from './ended-runs.ts';
import type { Retention } from './retention.ts';

export interface BatchSpaceOptions extends EndedRunsOptions {
  readonly retention: Retention;
  readonly files: TableFiles;
  readonly clock: Clock;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly batchDir: string;
  /** Bound of the files. */
  readonly filesBytesMax: number;
}

/** Runs that go in one commit. */
const RUNS_AT_ONCE = 10;
/** Runs that go when the store is full, before it is tried again. */
const RUNS_IN_RELIEF = 20;
const LOOK_AGAIN_MS = 30_000;
const MEASURE_AGAIN_MS = 10_000;
/** At the files, in one measure. */
const LOOKS_MAX = 3;

const STORE = 'batch/store';
const FILES = 'batch/files';

export class BatchSpace implements Space {
  readonly #options: BatchSpaceOptions;
  readonly #over = new Set<string>();
  #checking: Promise<void> | undefined;
  /** `check` was called since the last look began. */
  #isAsked = false;
  #isClosed = false;
  #cancelTimer: (() => void) | undefined;
  #measured: BatchFiles | undefined;
  #measuredMs = 0;
  /** What tables.made was when the files were measured. */
  #madeBefore = 0;
  /** Ran out of the store in a commit of the agent's: their files are still to go. */
  #relieved: string[] = [];
  /** Ended runs that went because there was no room, not because of their age or number. */
  runsTrimmed = 0;

  constructor(options: BatchSpaceOptions) {
    this.#options = options;
    options.store.attach(this);
  }

  /** No run starts. */
  get isHeld(): boolean {
    return this.#over.size > 0;
  }

  get filesBytes(): number {
    return this.#measured === undefined ? 0 : this.#measured.bytes + this.#made();
  }

  /**
   * Looks soon, and does what is needed; what goes wrong is logged. A look that is under way may
   * have passed what this one is asked for: another follows it.
   */
  check(): void {
    this.#isAsked = true;
    this.#look();
  }

  /** The files have changed by more than what tasks made: they are measured at the next look. */
  measureAgain(): void {
    this.#measured = undefined;
  }

  waiting(isWaiting: boolean): void {
    if (isWaiting) this.#look();
  }

  /** As long as batch jobs hold more of the store than what is theirs in any case. */
  relief(): readonly BatchKey[] {
    const { store, retention, log } = this.#options;
    if (store.usedBytes <= store.bytesMax * limits.batchStoreFloorShare) return [];
    const runs = oldestEnded(this.#options, RUNS_IN_RELIEF);
    if (runs.length === 0) return [];
    log.warn({ runs: runs.length }, 'the store is full: ended runs of batch jobs go');
    this.#relieved.push(...runs.map(({ id }) => id));
    this.runsTrimmed += runs.length;
    return runs.flatMap((run) => retention.keysOf(run));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTimer?.();
    await this.#checking;
  }

  #look(): void {
    if (this.#isClosed) return;
    this.#checking ??= this.#check()
      .catch((error: unknown) => {
        if ((error as { code?: unknown }).code === 'agent_closing') return;
        this.#options.log.error({ error: messageOf(error) }, 'no room could be made');
      })
      .finally(() => {
        this.#checking = undefined;
        if (this.#isAsked) this.#look();
      });
  }

  async #check(): Promise<void> {
    this.#isAsked = false;
    // After the commit that is being gathered.
    await Promise.resolve();
    await this.#removeRelieved();
    const wasHeld = this.isHeld;
    await this.#checkStore();
    await this.#checkFiles();
    this.#options.store.retry();
    if (wasHeld && !this.isHeld) this.#options.runs.pump();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.isHeld && !this.#isClosed) {
      this.#cancelTimer = this.#options.clock.after(LOOK_AGAIN_MS, () => this.check());
    }
  }

  async #checkStore(): Promise<void> {
    const { store } = this.#options;
    const bytesMax = store.bytesMax * limits.batchStoreShare;
    // What a run takes is known when it is gone: few first, so that not too many go.
    for (let count = 1; store.usedBytes > bytesMax; count = Math.min(count * 2, RUNS_AT_ONCE)) {
      const runs = oldestEnded(this.#options, count);
      if (runs.length === 0) break;
      await this.#trim(runs, STORE);
    }
    const bytes = store.usedBytes;
    this.#tell(STORE, bytes, bytesMax, 'store.budget of agent.yaml');
  }

  async #checkFiles(): Promise<void> {
    const { filesBytesMax } = this.#options;
    if (this.#measured === undefined) await this.#measure();
    if (this.filesBytes > filesBytesMax && this.#isStale()) await this.#measure();
    while (this.filesBytes > filesBytesMax && this.#measured !== undefined) {
      const { byRun } = this.#measured;
      const bytesOf = ({ id }: RunRecord): number => byRun.get(safeName(id)) ?? 0;
      const runs = oldestEnded(this.#options, RUNS_AT_ONCE, (run) => bytesOf(run) > 0);
      let over = this.filesBytes - filesBytesMax;
      const gone = runs.filter((run) => {
        const goes = over > 0;
        over -= bytesOf(run);
        return goes;
      });
      if (gone.length === 0) break;
      await this.#trim(gone, FILES);
      await this.#measure();
    }
    this.#tell(FILES, this.filesBytes, filesBytesMax, 'batch.files of agent.yaml');
  }

  async #trim(runs: readonly RunRecord[], why: string): Promise<void> {
    const { store, retention, batchDir, log } = this.#options;
    const dropped = store.drop(runs.flatMap((run) => retention.keysOf(run)));
    this.runsTrimmed += runs.length;
    await dropped;
    log.warn({ runs: runs.length, why }, 'ended runs go: there is no room for them');
    const ids = runs.map(({ id }) => id);
    await retention.removeFiles(batchDir, ids);
  }

  async #removeRelieved(): Promise<void> {
    const { retention, batchDir, store } = this.#options;
    const gone = this.#relieved.filter((id) => !store.has(['run', id]));
    this.#relieved = [];
    await retention.removeFiles(batchDir, gone);
  }

  /**
   * What a task makes during a look may be counted twice, and runs would go for it: then another
   * look follows, unless tasks go on making files.
   */
  async #measure(): Promise<void> {
    const { batchDir, files, clock } = this.#options;
    for (let look = 0; look < LOOKS_MAX; look++) {
      const madeBefore = files.bytesMade;
      const measuredMs = clock.monotonicMs();
      const measured = await measureFiles(batchDir);
      // All at once: until then what was made is still added to the measure before.
      this.#madeBefore = madeBefore;
      this.#measuredMs = measuredMs;
      this.#measured = measured;
      if (files.bytesMade === madeBefore) return;
    }
  }

  #made(): number {
    return this.#options.files.bytesMade - this.#madeBefore;
  }

  /** Something was written since, and the last measure is not of just now. */
  #isStale(): boolean {
    const { clock } = this.#options;
    const ageMs = clock.monotonicMs() - this.#measuredMs;
    return ageMs >= MEASURE_AGAIN_MS || (this.#made() > 0 && !this.isHeld);
  }

  #tell(type: string, bytes: number, bytesMax: number, key: string): void {
    const { conditions } = this.#options;
    if (bytes <= bytesMax) {
      this.#over.delete(type);
      conditions.clear(type);
      return;
    }
    this.#over.add(type);
    const what = type === STORE ? 'records' : 'files';
    const message =
      `The ${what} of batch jobs take ${bytes} of ${Math.floor(bytesMax)} bytes and no run that ` +
      `has ended is left to go: no run starts. Let jobs keep less, purge datasets or raise ${key}.`;
    conditions.set({ type, axis: 'storage', severity: 'warning', reason: 'OverBudget', message });
  }
}
