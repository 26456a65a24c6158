/**
 * The delivery loop of one local sink: opens it with the committed state, hands it the rows of its
 * lane in order, commits mark and state together, and goes on. A sink without state gets the next
 * rows while the mark of the last ones is being committed; a mark that fails has them delivered
 * again.
 *
 * A failure closes the sink, waits with backoff and jitter behind the circuit breaker, and opens it
 * again with what is committed. What the sink refuses for good (some rows: `RejectedRows`; all of
 * them: any other `retry: 'never'`) goes to the dead letters in the commit that passes over it, and
 * the others are delivered without it. Delivery is at least once, with an id that stays the same
 * (`<agent>-<epoch>-<lane>-<seq>`).
 */
import type { Logger } from 'pino';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Output } from '@runnel/shared/engine/record.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { jittered, type Random } from '@runnel/shared/random.ts';
import type { Conditions } from '../resources/conditions.ts';
import { type DeliveryRow, RejectedRows, type Sink } from '../sinks/sink.ts';
import { type Breaker, CLOSED, openForMs, pauseMs, transition } from './circuit-breaker.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { LocalLane } from './delivery.ts';
import type { RowLane } from './row-lane.ts';

const ROWS_MAX = 500;
const BYTES_MAX = 256 * 1024;

export interface SinkLoopOptions {
  readonly id: string;
  readonly local: LocalLane;
  readonly rows: RowLane;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly agent: string;
  readonly dataDir: string;
  /** Whether a lane of this id is there. */
  readonly isLane: (id: string) => boolean;
  readonly deadLetters: DeadLetters;
  readonly createSink: (definition: SinkDefinition, job: string) => Sink | Promise<Sink>;
  readonly commit: () => Promise<void>;
}

interface RefusedRow {
  readonly row: DeliveryRow;
  readonly error: RunnelError;
}

/** Kept with the lane. */
interface Extra {
  readonly state: unknown;
  readonly breaker: Breaker;
}

export class SinkLoop {
  readonly #options: SinkLoopOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #sink: Sink | undefined;
  #wakeUp: (() => void) | undefined;
  #breaker: Breaker;
  /** State and breaker that the next commit stores. */
  #pending: Extra | undefined;
  /** Refused for good, by seq, and not yet passed over by a commit. */
  readonly #refused = new Map<number, RefusedRow>();
  /** Highest seq that was delivered while its mark may not be on disk yet. */
  #delivered = 0;
  /** The commit of the last mark; undefined once it is on disk. */
  #marking: Promise<void> | undefined;
  #markError: unknown;

  constructor(options: SinkLoopOptions) {
    this.#options = options;
    this.#breaker = this.#stored().breaker;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  wake(): void {
    this.#wakeUp?.();
  }

  /** Puts state and breaker into the commit that is being staged. */
  stageState(): void {
    if (this.#pending === undefined) return;
    this.#options.rows.setExtra(this.#pending);
    this.#pending = undefined;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const more = await this.#step();
        if (!more && !signal.aborted) await this.#wait();
      } catch (error) {
        if (signal.aborted) break;
        await this.#failed(error);
      }
    }
    await this.#marking;
    await this.#closeSink();
  }

  /** Delivers one block; false when there is none. */
  async #step(): Promise<boolean> {
    const { rows, clock, random } = this.#options;
    this.#throwMarkError();
    const block = rows.read(ROWS_MAX, BYTES_MAX, this.#delivered);
    if (block === undefined) return false;
    await this.#pause(jittered(random, openForMs(this.#breaker, clock.now())));
    if (this.#abort.signal.aborted) return false;
    if (this.#breaker.state === 'open') {
      this.#breaker = transition(this.#breaker, 'probe', clock.now());
    }
    const sink = await this.#open();
    const deliverable = block.rows
      .filter(({ seq }) => !this.#refused.has(seq))
      .map(({ seq, text }) => this.#row(seq, text));
    let state = this.#stored().state;
    try {
      if (deliverable.length > 0) state = await sink.deliver(deliverable);
    } catch (error) {
      // Again, without those that were refused.
      for (const row of refusedBy(error, deliverable)) {
        this.#refused.set(row.seq, { row, error: error as RunnelError });
      }
      return true;
    }
    this.#breaker = transition(this.#breaker, 'delivered', clock.now());
    if (sink.isStateless === true && this.#refused.size === 0) this.#mark(block.last);
    else await this.#commit(block.last, state);
    return true;
  }

  /** One commit of marks at a time: what is delivered meanwhile goes into the next. */
  #mark(seq: number): void {
    this.#throwMarkError();
    this.#delivered = seq;
    this.#marking ??= this.#commitMarks();
  }

  async #commitMarks(): Promise<void> {
    try {
      for (let marked = 0; marked < this.#delivered;) {
        marked = this.#delivered;
        await this.#commit(marked, null);
      }
    } catch (error) {
      this.#markError = error;
      this.#delivered = 0;
      this.wake();
    }
    this.#marking = undefined;
  }

  #throwMarkError(): void {
    const error = this.#markError;
    this.#markError = undefined;
    if (error !== undefined) throw error;
  }

  /** One commit holds the mark, the sink's state and the dead letters up to it. */
  async #commit(mark: number, state: unknown): Promise<void> {
    const { rows, commit, conditions, id } = this.#options;
    this.#pending = { state: state ?? null, breaker: this.#breaker };
    for (const [seq, refused] of this.#refused) if (seq <= mark) this.#bury(refused);
    rows.acknowledge(mark);
    await commit();
    for (const seq of this.#refused.keys()) if (seq <= mark) this.#refused.delete(seq);
    conditions.clear(conditionType(id));
  }

  #row(seq: number, text: string): DeliveryRow {
    const { agent, id, local } = this.#options;
    const cut = text.indexOf(' ');
    const { version, output } = JSON.parse(text.slice(cut + 1)) as {
      version: number;
      output: Output;
    };
    const rowId = `${agent}-${text.slice(0, cut)}-${id.replaceAll('/', '.')}-${seq}`;
    return { id: rowId, seq, job: local.job, version, output };
  }

  #bury({ row, error }: RefusedRow): void {
    const { local, deadLetters } = this.#options;
    const { output, version } = row;
    deadLetters.add(local.job, version, {
      step: output.step,
      reason: 'sink_refused',
      message: `${local.definition.kind}: ${error.message}`,
      record: { topic: '', payload: output, time: output.time },
      at: epochMs(output.at),
    });
  }

  async #failed(error: unknown): Promise<void> {
    const { clock, random, log, conditions, id, local, rows } = this.#options;
    await this.#marking;
    this.#markError = undefined;
    this.#delivered = 0;
    await this.#closeSink();
    // The letters of a commit that failed are gone: the sink will refuse these rows again.
    this.#refused.clear();
    this.#breaker = transition(this.#breaker, 'failed', clock.now());
    this.#pending = { state: this.#stored().state, breaker: this.#breaker };
    const { kind } = local.definition;
    const message = `${local.job}, sink ${local.index} (${kind}): ${messageOf(error)}`;
    log.warn({ sink: id, error: message, waiting: rows.record.rows }, 'sink did not take rows');
    conditions.set({
      type: conditionType(id),
      axis: 'jobs',
      severity: this.#breaker.state === 'open' ? 'error' : 'warning',
      reason: this.#breaker.state === 'open' ? 'SinkDown' : 'SinkFailing',
      message: message.slice(0, 2000),
    });
    if (this.#breaker.state === 'open') return;
    await this.#pause(jittered(random, pauseMs(this.#breaker.failures)));
  }

  async #open(): Promise<Sink> {
    if (this.#sink !== undefined) return this.#sink;
    const { createSink, local, clock, log, dataDir, id: lane, isLane } = this.#options;
    const sink = await createSink(local.definition, local.job);
    await sink.open({ clock, log, dataDir, lane, isLane, state: this.#stored().state });
    this.#sink = sink;
    return sink;
  }

  async #closeSink(): Promise<void> {
    const sink = this.#sink;
    this.#sink = undefined;
    try {
      await sink?.close();
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, 'sink did not close');
    }
  }

  #stored(): Extra {
    const extra = this.#options.rows.record.extra as Extra | null;
    return extra ?? { state: null, breaker: CLOSED };
  }

  async #wait(): Promise<void> {
    const { rows } = this.#options;
    if (this.#markError !== undefined || rows.read(1, 1, this.#delivered) !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve;
    });
    this.#wakeUp = undefined;
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#abort;
    if (ms <= 0 || signal.aborted) return;
    try {
      await this.#options.clock.sleep(ms, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

const conditionType = (id: string): string => `sinks/${id}`.slice(0, 200);

/** The rows that an error of `deliver` gives up; throws an error that gives up none. */
function refusedBy(error: unknown, rows: readonly DeliveryRow[]): readonly DeliveryRow[] {
  if (!(error instanceof RunnelError) || error.retry !== 'never') throw error;
  if (!(error instanceof RejectedRows)) return rows;
  const refused = rows.filter(({ seq }) => error.seqs.has(seq));
  // One that it was not given would be refused for ever.
  if (refused.length === 0) throw new RunnelError('sink_rejected_unknown_row', error.message);
  return refused;
}
