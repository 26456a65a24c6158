/**
 * Rows for the control plane (DESIGN.md §6.4): four lanes per epoch, an epoch being one process of
 * this agent. Rows keep the epoch in which they were made, so that a restored or cloned disk can
 * collide with nothing; earlier epochs are sent first, in order. The lane of a row of a job follows
 * the job's priority (job-lanes.ts).
 *
 * Bound: bytes over all lanes and epochs. Policy: drop-oldest of the least urgent, bulk before
 * results before urgent before alerts, never rows in flight; what was dropped is declared as
 * `lost`, counted by lane and reason, and a condition. One row is bounded too, or it would stand at
 * the head of its lane for ever: a larger one goes to the dead letters of its job, is declared as
 * `lost` and counted, and the rows behind it go on.
 *
 * In the database `outbox`: `['epoch', order]` names an epoch, `['rows', order, lane, seq]` are its
 * rows (row-lane.ts). An epoch gets its row with its first rows, and goes when it is drained. Its
 * format is 2 as soon as it has urgent rows: a release that knows no such lane would take it for
 * drained. `jobs` says that the lanes of its jobs were written down.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { LANES, type Lane, type ResultBlock, type Row } from '@runnel/shared/protocol/results.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';
import type { Conditions } from '../resources/conditions.ts';
import type { Participant, StageContext } from '../streams/participant.ts';
import { JobLanes, type Place, type RowOrigin } from './job-lanes.ts';
import { LostRows, ofLanes } from './lost-rows.ts';
import { RowLane } from './row-lane.ts';

const EPOCH_FORMAT = 1;
const EPOCH_FORMAT_URGENT = 2;
/** What is dropped first. */
const LEAST_URGENT_FIRST = LANES.toReversed();
/** Dropped in one commit beyond what is over, so that it is not done for every commit. */
const DROP_SHARE = 1 / 64;

/** A row as JSON text without `seq`, which its lane gives it. */
export type RowText = string;

export interface OutboxOptions {
  readonly store: CheckpointStore;
  readonly agent: string;
  readonly epoch: string;
  readonly bytesMax: number;
  readonly conditions: Conditions;
  /** Of one row as it is sent; default: `limits.outboxRowBytesMax`. */
  readonly rowBytesMax?: number;
  /** Takes a row that no message holds, to be kept by the same commit. */
  readonly unsendable: (row: Omit<Row, 'seq'>, bytes: number) => void;
  /** Asks for a commit and resolves when it is on disk. */
  readonly commit: () => Promise<void>;
}

export interface OutboxDepth {
  readonly rows: number;
  readonly bytes: number;
  /** `at` of the oldest row. */
  readonly oldestAt: number | null;
  /** Rows dropped, or too large to be sent, of the epochs that are still here. */
  readonly lost: number;
}

interface EpochLanes {
  readonly order: number;
  readonly epoch: string;
  readonly lanes: Readonly<Record<Lane, RowLane>>;
  /** Format of its row; 0: it has none yet. */
  format: number;
  /** The lanes of its jobs were written down. */
  readonly jobs: boolean;
}

export interface LaneRecount {
  readonly checked: number;
  readonly wrong: number;
}

interface Recount {
  readonly mend: boolean;
  readonly resolve: (counted: LaneRecount) => void;
  counted: LaneRecount | null;
}

export class Outbox implements Participant {
  readonly #options: OutboxOptions;
  #epochs: EpochLanes[] = [];
  #current: EpochLanes;
  readonly #listeners = new Set<() => void>();
  /** Null: a row that cannot be sent. */
  #gathered = ofLanes((): (RowText | null)[] => []);
  #appended = false;
  /** The control plane was restored from a backup: its mark, where it is behind ours. */
  readonly #behind = new Map<RowLane, number>();
  /** Dropped by the bound, or too large to be sent. */
  readonly lost = new LostRows();
  readonly #jobs: JobLanes;
  #recounts: Recount[] = [];
  /** Rows that a restored control plane no longer has and that are gone here. */
  gapRows = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#epochs = this.#loadEpochs();
    const order = (this.#epochs.at(-1)?.order ?? 0) + 1;
    const { epoch, store } = options;
    this.#current = { order, epoch, lanes: this.#lanes(order), format: 0, jobs: true };
    const hasOlder = this.#epochs.some(({ jobs }) => !jobs);
    this.#epochs.push(this.#current);
    this.#jobs = new JobLanes({ store, order, hasOlder, waits: (place) => this.#waits(place) });
  }

  /** Takes a row of a job into the next commit, in the lane that its priority gives it. */
  addOf(origin: RowOrigin, text: RowText): void {
    this.add(this.#jobs.laneFor(origin), text);
  }

  /** Takes a row into the next commit; one that is too large to be sent is lost with it. */
  add(lane: Lane, text: RowText): void {
    const { rowBytesMax = limits.outboxRowBytesMax, unsendable } = this.#options;
    // A character is at most 3 bytes; the exact length is only computed when it may matter.
    const bytes = text.length * 3 > rowBytesMax ? Buffer.byteLength(text) : 0;
    if (bytes <= rowBytesMax) {
      this.#gathered[lane].push(text);
      return;
    }
    this.#gathered[lane].push(null);
    unsendable(JSON.parse(text) as Omit<Row, 'seq'>, bytes);
  }

  /** Forgets everything that is not on disk. */
  reload(): void {
    this.#gathered = ofLanes(() => []);
    this.#appended = false;
    for (const recount of this.#recounts) recount.counted = null;
    this.lost.reload();
    for (const { lanes } of this.#epochs) for (const lane of LANES) lanes[lane].reload();
    const { lanes, order } = this.#current;
    this.#current.format = this.#options.store.get('outbox', ['epoch', order])?.[0] ?? 0;
    this.#jobs.reload((lane) => lanes[lane].record.next - 1);
  }

  /** Whether a commit would change anything here. */
  get isDirty(): boolean {
    return (
      this.#recounts.length > 0 ||
      LANES.some((lane) => this.#gathered[lane].length > 0) ||
      this.#epochs.some(({ lanes }) => LANES.some((lane) => lanes[lane].hasAcknowledged))
    );
  }

  stage(tx: StoreTx, { now }: StageContext): void {
    this.#count();
    for (const { lanes } of this.#epochs) {
      for (const lane of LANES) lanes[lane].stageAcknowledged(tx);
    }
    for (const lane of LANES) {
      const texts = this.#gathered[lane];
      if (texts.length === 0) continue;
      this.#storeEpoch(tx, lane);
      this.#current.lanes[lane].append(tx, texts, now);
      this.lost.add(lane, 'too_large', texts.filter((text) => text === null).length);
      this.#gathered[lane] = [];
      this.#appended = true;
    }
    this.#jobs.stage(tx, (lane) => this.#current.lanes[lane].last);
    this.#dropOldest(tx);
    for (const { lanes } of this.#epochs) for (const lane of LANES) lanes[lane].stage(tx);
    this.#removeDrained(tx);
  }

  committed(): void {
    for (const { lanes } of this.#epochs) for (const lane of LANES) lanes[lane].committed();
    this.#jobs.committed();
    for (const { counted, resolve } of this.#recounts) if (counted !== null) resolve(counted);
    this.#recounts = this.#recounts.filter(({ counted }) => counted === null);
    this.#tellOfLoss();
    this.lost.committed();
    if (!this.#appended) return;
    this.#appended = false;
    for (const listener of this.#listeners) listener();
  }

  /**
   * The next block of a lane, of about `bytesMax`, or undefined when it is empty. Asking again
   * gives it again.
   */
  next(lane: Lane, bytesMax: number = limits.resultBlockBytesMax): ResultBlock | undefined {
    const rowBytesMax = Math.min(bytesMax, limits.resultBlockBytesMax) - 1024;
    for (const { epoch, lanes } of this.#epochs) {
      const rows = lanes[lane];
      const block = rows.read(limits.resultBlockRowsMax, rowBytesMax);
      if (block === undefined) continue;
      const after = this.#behind.get(rows) ?? block.after;
      return {
        v: PROTOCOL_VERSION,
        agent: this.#options.agent,
        epoch,
        lane,
        after,
        last: block.last,
        lost: block.lost + (block.after - after),
        rows: block.rows.map(({ seq, text }) => ({
          seq,
          ...(JSON.parse(text) as Omit<Row, 'seq'>),
        })),
      };
    }
    return undefined;
  }

  /** Whether its lane has rows behind it. */
  hasMore({ epoch, lane, last }: Pick<ResultBlock, 'epoch' | 'lane' | 'last'>): boolean {
    const at = this.#epochs.findIndex((each) => each.epoch === epoch);
    const found = this.#epochs[at];
    if (found !== undefined && found.lanes[lane].record.next - 1 > last) return true;
    return this.#epochs.slice(at + 1).some(({ lanes }) => !lanes[lane].drained);
  }

  /**
   * Deletes up to the mark; resolves when that is on disk. A mark below ours says that the control
   * plane was restored from a backup: the next block then declares what is gone on both sides. One
   * beyond what we sent of an earlier epoch says that our disk was: it has all that is left there.
   */
  async acknowledge(epoch: string, lane: Lane, mark: number): Promise<void> {
    const found = this.#epochs.find((candidate) => candidate.epoch === epoch);
    // An epoch that was drained meanwhile needs nothing any more.
    if (found === undefined) return;
    const rows = found.lanes[lane];
    if (mark < rows.record.mark) {
      if (!this.#behind.has(rows)) this.gapRows += rows.record.mark - mark;
      this.#behind.set(rows, mark);
      return;
    }
    this.#behind.delete(rows);
    const isEarlier = found !== this.#current;
    rows.acknowledge(isEarlier ? Math.min(mark, rows.record.next - 1) : mark, isEarlier);
    if (rows.hasAcknowledged) await this.#options.commit();
  }

  /**
   * Counts what every lane holds, as part of the next commit; with `mend` records that say
   * something else are corrected by it. Resolves when that is on disk.
   */
  async recount(mend: boolean): Promise<LaneRecount> {
    const counted = new Promise<LaneRecount>((resolve) => {
      this.#recounts.push({ mend, resolve, counted: null });
    });
    await this.#options.commit();
    return counted;
  }

  /** Tells of commits that added rows; the returned function stops it. */
  onCommitted(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  depth(): OutboxDepth {
    let rows = 0;
    let bytes = 0;
    let lost = 0;
    let oldestAt: number | null = null;
    for (const { lanes } of this.#epochs) {
      for (const lane of LANES) {
        const { record } = lanes[lane];
        rows += record.rows;
        bytes += record.bytes;
        lost += record.lostTotal;
        if (record.rows === 0) continue;
        const at = lanes[lane].oldestAt;
        if (at !== null && (oldestAt === null || at < oldestAt)) oldestAt = at;
      }
    }
    return { rows, bytes, oldestAt, lost };
  }

  #loadEpochs(): EpochLanes[] {
    const range = { start: ['epoch', 0], end: ['epoch', Number.MAX_SAFE_INTEGER] };
    return [...this.#options.store.range('outbox', range)].map(({ key, value }) => {
      const order = (key as (string | number)[])[1] as number;
      const { epoch, jobs = false } = decodeVersioned<{ epoch: string; jobs?: boolean }>(
        'an epoch',
        EPOCH_FORMAT_URGENT,
        value,
      );
      if (epoch === this.#options.epoch) {
        throw new RunnelError('epoch_reused', `epoch ${epoch} is already in the outbox`);
      }
      return { order, epoch, lanes: this.#lanes(order), format: value[0] ?? 0, jobs };
    });
  }

  #lanes(order: number): Record<Lane, RowLane> {
    return ofLanes((name) => new RowLane(this.#options.store, ['rows', order, name]));
  }

  #waits({ lane, order, last }: Place): boolean {
    return this.#epochs.some((each) => {
      const rows = each.lanes[lane];
      return each.order < order ? !rows.drained : each.order === order && rows.record.mark < last;
    });
  }

  #storeEpoch(tx: StoreTx, lane: Lane): void {
    const needed = lane === 'urgent' ? EPOCH_FORMAT_URGENT : EPOCH_FORMAT;
    const { order, epoch, format, jobs } = this.#current;
    if (format >= needed) return;
    tx.put('outbox', ['epoch', order], encodeVersioned(needed, { epoch, jobs }));
    this.#current.format = needed;
  }

  /** A condition from the first row that is dropped until half of the bound is free. */
  #tellOfLoss(): void {
    const { bytesMax, conditions } = this.#options;
    if (!this.lost.hasOverflow) {
      if (this.#bytes() * 2 < bytesMax) conditions.clear('outbox');
      return;
    }
    conditions.set({
      type: 'outbox',
      axis: 'storage',
      severity: 'error',
      reason: 'RowsDropped',
      message:
        `More than ${bytesMax} bytes wait for the control plane; ` +
        'the oldest rows of the least urgent jobs are dropped.',
    });
  }

  #count(): void {
    const lanes = this.#epochs.flatMap((each) => LANES.map((lane) => each.lanes[lane]));
    for (const recount of this.#recounts) {
      const wrong = lanes.filter((lane) => lane.recount(recount.mend)).length;
      recount.counted = { checked: lanes.length, wrong };
    }
  }

  #bytes(): number {
    let bytes = 0;
    for (const { lanes } of this.#epochs) for (const lane of LANES) bytes += lanes[lane].bytes;
    return bytes;
  }

  #dropOldest(tx: StoreTx): void {
    let over = this.#bytes() - this.#options.bytesMax;
    if (over <= 0) return;
    over += this.#options.bytesMax * DROP_SHARE;
    for (const lane of LEAST_URGENT_FIRST) {
      for (const { lanes } of this.#epochs) {
        if (over <= 0) return;
        const before = lanes[lane].bytes;
        this.lost.add(lane, 'overflow', lanes[lane].dropOldest(tx, over));
        over -= before - lanes[lane].bytes;
      }
    }
  }

  /** Drained on disk, so that nothing is removed that a failed commit would bring back. */
  #removeDrained(tx: StoreTx): void {
    const drained = this.#epochs.filter(
      (each) => each !== this.#current && LANES.every((lane) => each.lanes[lane].drained),
    );
    for (const { order, lanes } of drained) {
      for (const lane of LANES) lanes[lane].stageRemoved(tx);
      tx.remove('outbox', ['epoch', order]);
    }
    if (drained.length > 0) this.#epochs = this.#epochs.filter((each) => !drained.includes(each));
  }
}
