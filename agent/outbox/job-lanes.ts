/**
 * Priority inheritance: which lane of the outbox a row of a job goes into.
 *
 * | `priority` of what made the row | lane      |
 * |---------------------------------|-----------|
 * | above 0                         | `urgent`  |
 * | 0, the default                  | `results` |
 * | below 0                         | `bulk`    |
 *
 * Lanes are sent in the order `alerts`, `urgent`, `results`, `bulk` (sync/results-sender.ts) and
 * shed from its end (outbox.ts). The priority is that of the run, which has it from the version of
 * the job it was made from, or of the stream job. That of a task only orders the tasks, and aging
 * only decides who starts: neither moves a row, since rows of one run belong together. Within a
 * lane order is the order of the commits, whatever the number: a lane is numbered without gaps.
 *
 * Guarantee: rows of one job arrive in the order in which they were made. Whoever reads them relies
 * on it: the newest report of a run counts, and of two rows of one window with the same revision
 * the later. So a job whose priority changes stays in its lane until nothing of it waits there, and
 * only then goes on in the other. Alerts are no part of that: they overtake, as they always have.
 *
 * In the database `outbox`: `['placed', job]` is the lane of a job, format 1, written when a job
 * comes to a lane. Where a process begins, a job waits as long as its lane has rows of processes
 * before it; jobs of which nothing waits are forgotten then, and where there are more than
 * `limits.outboxJobsPlacedMax`.
 */
import { limits } from '@runnel/shared/limits.ts';
import type { Lane } from '@runnel/shared/protocol/results.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';

const PLACED_FORMAT = 1;

/** What made a row: a run of a batch job, or a stream job. */
export interface RowOrigin {
  readonly job: string;
  readonly priority: number;
}

/** Up to where a lane may hold rows of a job. */
export interface Place {
  readonly lane: Lane;
  readonly order: number;
  /** Seq of its newest row; everything of the epochs before may be of it too. */
  readonly last: number;
}

interface Placed extends Place {
  readonly stored: boolean;
}

export interface JobLanesOptions {
  readonly store: CheckpointStore;
  /** Of this process's epoch. */
  readonly order: number;
  /** Whether anything up to there has not been acknowledged. */
  readonly waits: (place: Place) => boolean;
  /** Rows of earlier processes that wrote down no jobs: all of them went to `results`. */
  readonly hasOlder: boolean;
}

export function laneOf(priority: number): Lane {
  if (priority > 0) return 'urgent';
  return priority === 0 ? 'results' : 'bulk';
}

export class JobLanes {
  readonly #options: JobLanesOptions;
  readonly #placed = new Map<string, Placed>();
  /** Jobs with rows in the commit that is being gathered. */
  readonly #touched = new Set<string>();
  /** Records that go with the next commit. */
  readonly #forgotten = new Set<string>();

  constructor(options: JobLanesOptions) {
    this.#options = options;
    const range = { start: ['placed', ''], end: ['placed', '\uffff'] };
    for (const { key } of options.store.range('outbox', range)) {
      const job = (key as string[])[1] ?? '';
      const lane = this.#stored(job);
      if (lane !== undefined) this.#placed.set(job, { ...this.#before(lane), stored: true });
    }
    this.#forget();
  }

  /** The lane of a row that goes into the next commit. */
  laneFor({ job, priority }: RowOrigin): Lane {
    const wanted = laneOf(priority);
    const { order, waits, hasOlder } = this.#options;
    const placed =
      this.#placed.get(job) ??
      (hasOlder ? { ...this.#before('results'), stored: false } : undefined);
    const stays = placed !== undefined && (placed.lane === wanted || waits(placed));
    const lane = stays ? placed.lane : wanted;
    this.#placed.set(job, { lane, order, last: Infinity, stored: stays && placed.stored });
    this.#touched.add(job);
    return lane;
  }

  /** `last`: the newest seq of a lane with this commit. */
  stage(tx: StoreTx, last: (lane: Lane) => number): void {
    if (this.#placed.size > limits.outboxJobsPlacedMax) this.#forget();
    for (const job of this.#forgotten) tx.remove('outbox', ['placed', job]);
    for (const job of this.#touched) {
      const placed = this.#placed.get(job);
      if (placed === undefined) continue;
      const { lane, stored } = placed;
      if (!stored) tx.put('outbox', ['placed', job], encodeVersioned(PLACED_FORMAT, { lane }));
      this.#placed.set(job, { ...placed, last: last(lane), stored: true });
    }
    this.#touched.clear();
  }

  committed(): void {
    this.#forgotten.clear();
  }

  /** The commit failed: what was gathered is gone. `last`: the newest seq of a lane on disk. */
  reload(last: (lane: Lane) => number): void {
    this.#touched.clear();
    for (const [job, placed] of this.#placed) {
      const { lane } = placed;
      const stored = this.#stored(job) === lane;
      this.#placed.set(job, { ...placed, last: Math.min(placed.last, last(lane)), stored });
    }
  }

  /** All that the processes before left in the lane. */
  #before(lane: Lane): Place {
    return { lane, order: this.#options.order, last: 0 };
  }

  #stored(job: string): Lane | undefined {
    const bytes = this.#options.store.get('outbox', ['placed', job]);
    if (bytes === undefined) return undefined;
    return decodeVersioned<{ lane: Lane }>('the lane of a job', PLACED_FORMAT, bytes).lane;
  }

  #forget(): void {
    for (const [job, placed] of this.#placed) {
      if (this.#options.waits(placed)) continue;
      this.#placed.delete(job);
      this.#forgotten.add(job);
    }
  }
}
