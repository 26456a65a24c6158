/**
 * Delivery to local sinks (DESIGN.md §6.4): one lane and one loop for each sink of each job.
 *
 * A lane belongs to (job, index, definition): when a job's sink changes or the job goes, what waits
 * for the old one is still delivered to it, and the lane goes when it is empty. In the database
 * `outbox`: `['sink', id, seq]` are the rows, `['local', id]` names job, index and definition.
 *
 * Bound: bytes per lane. Policy: drop-oldest, never rows in flight, counted and a condition.
 */
import type { Logger } from 'pino';
import { contentHash } from '@runnel/shared/definitions/canonical-json.ts';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../checkpoints/store-layout.ts';
import type { Conditions } from '../resources/conditions.ts';
import type { Sink } from '../sinks/sink.ts';
import type { RunnableSink } from '../streams/runnable-job.ts';
import type { Participant, StageContext } from '../streams/participant.ts';
import type { DeadLetters } from './dead-letters.ts';
import { RowLane } from './row-lane.ts';
import { SinkLoop } from './sink-loop.ts';

const LOCAL_FORMAT = 1;

/** Names a lane on disk. */
export interface LocalLane {
  readonly job: string;
  readonly index: number;
  readonly definition: SinkDefinition;
}

export interface DeliveryOptions {
  readonly store: CheckpointStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly agent: string;
  readonly epoch: string;
  readonly dataDir: string;
  readonly laneBytesMax: number;
  readonly deadLetters: DeadLetters;
  readonly createSink: (definition: SinkDefinition, job: string) => Sink | Promise<Sink>;
  readonly commit: () => Promise<void>;
}

interface Lane {
  readonly id: string;
  readonly local: LocalLane;
  readonly rows: RowLane;
  readonly loop: SinkLoop;
  texts: string[];
  stored: boolean;
}

export class Delivery implements Participant {
  readonly #options: DeliveryOptions;
  readonly #lanes = new Map<string, Lane>();
  /** Lane of each sink as the jobs are now: `job/index`. */
  readonly #current = new Map<string, Lane>();
  /** Where a lane that went in this epoch goes on when it comes back: ids are never used again. */
  readonly #next = new Map<string, number>();
  /** Until the jobs have been applied after a start, a lane may yet be claimed. */
  #applied = false;
  /** Rows dropped by the bound since the process started. */
  lost = 0;
  #lostStaged = 0;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    const range = { start: ['local', ''], end: ['local', '\uffff'] };
    for (const { value } of options.store.range('outbox', range)) {
      this.#open(decodeVersioned<LocalLane>('a local lane', LOCAL_FORMAT, value), true);
    }
  }

  get isDirty(): boolean {
    for (const lane of this.#lanes.values()) {
      if (lane.texts.length > 0 || lane.rows.hasAcknowledged || this.#isOver(lane)) return true;
    }
    return false;
  }

  /** Starts the loops; rows of earlier processes go out first. */
  start(): void {
    for (const { loop } of this.#lanes.values()) loop.start();
  }

  /** The sinks that a job has now; called again when its version changes or it goes. */
  configure(job: string, sinks: readonly RunnableSink[]): void {
    for (const key of this.#current.keys()) {
      if (key.startsWith(`${job}/`)) this.#current.delete(key);
    }
    for (const [index, sink] of sinks.entries()) {
      if (sink.to !== 'local') continue;
      const local = { job, index, definition: sink.definition };
      const lane = this.#lanes.get(laneId(local)) ?? this.#open(local, false);
      this.#current.set(`${job}/${index}`, lane);
      lane.loop.start();
    }
  }

  /** Every job has been configured: lanes of no job go when they are empty. */
  applied(): void {
    this.#applied = true;
  }

  /** Takes a row into the next commit; a sink that the job no longer has gets nothing. */
  add(job: string, index: number, text: string): void {
    this.#current.get(`${job}/${index}`)?.texts.push(text);
  }

  stage(tx: StoreTx, { now }: StageContext): void {
    for (const lane of this.#lanes.values()) {
      const { rows, texts, loop } = lane;
      loop.stageState();
      rows.stageAcknowledged(tx);
      if (texts.length > 0) {
        this.#storeLane(tx, lane);
        // The epoch travels with the row: it is part of the id that the receiver sees.
        rows.append(
          tx,
          texts.map((text) => `${this.#options.epoch} ${text}`),
          now,
        );
        lane.texts = [];
      }
      this.#dropOldest(tx, lane);
      rows.stage(tx);
      if (this.#isOver(lane)) this.#remove(tx, lane);
    }
  }

  committed(): void {
    this.lost += this.#lostStaged;
    this.#lostStaged = 0;
    for (const { id, rows, loop } of this.#lanes.values()) {
      rows.committed();
      if (!rows.drained) loop.wake();
      else this.#options.conditions.clear(overflowType(id));
    }
  }

  reload(): void {
    this.#lostStaged = 0;
    for (const lane of this.#lanes.values()) {
      lane.texts = [];
      lane.rows.reload();
      lane.stored = this.#options.store.has('outbox', ['local', lane.id]);
    }
  }

  depth(): { rows: number; bytes: number; lost: number } {
    let rows = 0;
    let bytes = 0;
    for (const lane of this.#lanes.values()) {
      rows += lane.rows.record.rows;
      bytes += lane.rows.record.bytes;
    }
    return { rows, bytes, lost: this.lost };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map(({ loop }) => loop.close()));
  }

  #open(local: LocalLane, stored: boolean): Lane {
    const id = laneId(local);
    const rows = new RowLane(this.#options.store, ['sink', id], this.#next.get(id));
    const isLane = (other: string): boolean => this.#lanes.has(other);
    const loop = new SinkLoop({ ...this.#options, id, local, rows, isLane });
    const lane: Lane = { id, local, rows, loop, texts: [], stored };
    this.#lanes.set(id, lane);
    return lane;
  }

  #storeLane(tx: StoreTx, lane: Lane): void {
    if (lane.stored) return;
    tx.put('outbox', ['local', lane.id], encodeVersioned(LOCAL_FORMAT, lane.local));
    lane.stored = true;
  }

  #dropOldest(tx: StoreTx, { id, local, rows }: Lane): void {
    const { conditions, laneBytesMax } = this.#options;
    const over = rows.bytes - laneBytesMax;
    if (over <= 0) return;
    const dropped = rows.dropOldest(tx, over + laneBytesMax / 16);
    if (dropped === 0) return;
    this.#lostStaged += dropped;
    const { definition, index, job } = local;
    const name = `${job}, sink ${index} (${definition.kind})`;
    conditions.set({
      type: overflowType(id),
      axis: 'jobs',
      severity: 'error',
      reason: 'RowsDropped',
      message: `${name}: more than ${laneBytesMax} bytes wait; the oldest rows are dropped`,
    });
  }

  #isCurrent(lane: Lane): boolean {
    return this.#current.get(`${lane.local.job}/${lane.local.index}`) === lane;
  }

  /** No job has it any more, and what waited in it has been delivered or declared as lost. */
  #isOver(lane: Lane): boolean {
    const { rows, texts } = lane;
    return this.#applied && rows.drained && texts.length === 0 && !this.#isCurrent(lane);
  }

  #remove(tx: StoreTx, lane: Lane): void {
    lane.rows.stageRemoved(tx);
    tx.remove('outbox', ['local', lane.id]);
    this.#lanes.delete(lane.id);
    this.#next.set(lane.id, lane.rows.record.next);
    this.#options.conditions.clear(overflowType(lane.id));
    void lane.loop.close();
  }
}

function laneId({ job, index, definition }: LocalLane): string {
  return `${job}/${index}/${contentHash(definition).slice(0, 16)}`;
}

const overflowType = (id: string): string => `overflow/${id}`.slice(0, 200);
