/**
 * The rows of the journal for batch tasks (task-services.ts), from what is on disk: a block whose
 * commit has not been flushed is not seen, because it may yet fail and come again.
 *
 * A block is skipped by its footer alone where it holds no record of the source, or where arrival
 * is the event time and lies outside of the range. With a `time:` expression blocks are skipped by
 * what an earlier reading of them found (block-times.ts). The event loop runs between two blocks,
 * which hold 64 KiB: some 2 ms.
 *
 * Records that cannot be decoded, or whose `time:` fails, are left out, counted, and logged once
 * per reading: the stream job that has the source made dead letters of them.
 */
import { limits } from '@runnel/shared/limits.ts';
import type { CheckpointStore } from '../../checkpoints/checkpoint-store.ts';
import { readBlockHeader } from '../../journal/block-format.ts';
import { completeFromMs } from '../../journal/journal-cut.ts';
import { BlockReader } from '../../journal/block-reader.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { JournalRange, JournalRows, Row, SourceSince } from '../tasks/task-services.ts';
import { BlockTimes } from './block-times.ts';
import {
  type DecodedRecord,
  type Unreadable,
  recordDecoder,
  rowLine,
  rowOf,
} from './journal-row.ts';
import { type DeclaredSource, findSource, type SourcesOfDevice } from './journal-sources.ts';
import { LineWriter } from './line-file.ts';

export interface StoredJournalOptions {
  readonly store: Pick<CheckpointStore, 'get' | 'keys' | 'range' | 'read'>;
  /** Sources of all jobs of the device. */
  readonly sources: SourcesOfDevice;
  /** Drops what arrived before, as far as jobs have read it; returns records. */
  readonly purgeBefore: (timeMs: number) => Promise<number>;
  /** From when on batch jobs want the journal kept; Infinity when none does. */
  readonly historyFromMs: () => number;
}

/** What one reading did, for tests and the log. */
export interface ReadingStats {
  blocksRead: number;
  blocksSkipped: number;
  readonly unreadable: Record<Unreadable, number>;
}

interface Found {
  readonly record: DecodedRecord;
  readonly topic: string;
}

export class StoredJournal implements JournalRows {
  readonly #options: StoredJournalOptions;
  readonly #times = new BlockTimes();
  /** Of the reading that ended last. */
  lastReading: ReadingStats = newStats();

  constructor(options: StoredJournalOptions) {
    this.#options = options;
  }

  async *rows(context: TaskContext, range: JournalRange): AsyncGenerator<readonly Row[]> {
    for await (const found of this.#blocks(context, range)) {
      yield found.map(({ record, topic }) => rowOf(record, topic));
    }
  }

  async write(context: TaskContext, range: JournalRange, file: string): Promise<number> {
    const writer = await LineWriter.create(file, limits.tableBytesMax);
    try {
      for await (const found of this.#blocks(context, range)) {
        let full = false;
        for (const { record, topic } of found) full = writer.add(rowLine(record, topic));
        if (full) await writer.flush();
      }
      // Whoever asked reads it now, and throws it away when the attempt ends.
      await writer.close({ durable: false });
    } catch (error) {
      await writer.abandon();
      throw error;
    }
    return writer.lines;
  }

  nextBlock(): number {
    for (const key of this.#options.store.keys('journal', { reverse: true, limit: 1 })) {
      return (key as number) + 1;
    }
    return 1;
  }

  aheadMsMax(context: TaskContext, name: string): number {
    const { definition } = findSource(name, context.scope.job.name, this.#options.sources);
    return definition.time === null ? 0 : definition.maxAhead;
  }

  wholeFromMs(): number {
    return completeFromMs(this.#options.store);
  }

  connectorOf(context: TaskContext, name: string): string {
    return findSource(name, context.scope.job.name, this.#options.sources).connector;
  }

  historyFromMs(): number {
    return this.#options.historyFromMs();
  }

  async purgeBefore(timeMs: number): Promise<number> {
    return this.#options.purgeBefore(timeMs);
  }

  async oldestBeside(
    context: TaskContext,
    connectors: ReadonlySet<string>,
    beforeMs: number,
  ): Promise<SourceSince | undefined> {
    const end = this.nextBlock();
    for (let block = this.firstBlock(); block < end; block++) {
      await new Promise((resolve) => setImmediate(resolve));
      context.signal.throwIfAborted();
      const bytes = this.#options.store.get('journal', block);
      if (bytes === undefined) continue;
      const reader = new BlockReader(block, bytes);
      if (reader.header.nowLast >= beforeMs) return undefined;
      const others = reader.sources().filter(({ source }) => !connectors.has(source));
      const [oldest] = others.toSorted((a, b) => a.nowMin - b.nowMin);
      if (oldest === undefined) continue;
      const declared = [...this.#options.sources()].find((s) => s.connector === oldest.source);
      const source =
        declared === undefined ? oldest.source : `${declared.job}/${declared.definition.alias}`;
      return { source, sinceMs: oldest.nowMin };
    }
    return undefined;
  }

  /** What each block holds of the range, for blocks that hold something. */
  async *#blocks(context: TaskContext, range: JournalRange): AsyncGenerator<readonly Found[]> {
    const source = findSource(range.source, context.scope.job.name, this.#options.sources);
    const first = this.firstBlock();
    const end = Math.min(this.nextBlock(), range.toBlock ?? Infinity);
    if (range.fromBlock === undefined) this.#checkWhole(context, range);
    this.#times.forgetBefore(first);
    const stats = newStats();
    const reading = new SourceReading(source, range, this.#times, stats);
    for (let block = Math.max(first, range.fromBlock ?? 0); block < end; block++) {
      // Reading from LMDB is synchronous: this is where the event loop gets its turn.
      await new Promise((resolve) => setImmediate(resolve));
      context.signal.throwIfAborted();
      const found = this.#options.store.read('journal', block, (bytes) =>
        reading.read(new BlockReader(block, bytes)),
      );
      // Undefined: a block that retention dropped meanwhile.
      if (found !== undefined && found.length > 0) yield found;
    }
    this.lastReading = stats;
    report(context, range, stats);
  }

  blockSince(arrivalMs: number): number {
    let [low, high] = [this.firstBlock(), this.nextBlock()];
    // `now` never goes back from block to block.
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const bytes = this.#options.store.get('journal', middle);
      if (bytes === undefined || readBlockHeader(bytes).nowLast < arrivalMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  firstBlock(): number {
    for (const key of this.#options.store.keys('journal', { limit: 1 })) return key as number;
    return 1;
  }

  /** The journal holds what arrived since it was cut last. */
  #checkWhole(context: TaskContext, range: JournalRange): void {
    const neededMs = range.neededFromMs ?? range.fromMs;
    const wholeMs = completeFromMs(this.#options.store);
    if (neededMs === -Infinity || wholeMs <= neededMs) return;
    const since = new Date(wholeMs).toISOString();
    const message =
      `the journal holds what arrived since ${since}, and ` +
      `${new Date(neededMs).toISOString()} is needed`;
    if (context.program.job.allowPartial) {
      context.log.warn(`${message}: going on with what there is (allowPartial)`);
      return;
    }
    throw new TaskError('journal_incomplete', 'journal_incomplete', message, {
      hint: 'Raise history of the job or the journal in agent.yaml, or set allowPartial: true.',
      fields: { completeFromMs: wholeMs, neededMs },
    });
  }
}

/** Reads blocks for one source and range. */
class SourceReading {
  readonly #source: DeclaredSource;
  readonly #range: JournalRange;
  readonly #times: BlockTimes;
  readonly #stats: ReadingStats;
  readonly #decode: ReturnType<typeof recordDecoder>;
  /** Null where arrival is the event time: the footer says all. */
  readonly #timesKey: string | null;

  constructor(source: DeclaredSource, range: JournalRange, times: BlockTimes, stats: ReadingStats) {
    this.#source = source;
    this.#range = range;
    this.#times = times;
    this.#stats = stats;
    this.#decode = recordDecoder(source);
    const { connector, definition, parameters } = source;
    this.#timesKey =
      definition.time === null
        ? null
        : JSON.stringify([connector, definition.time, definition.codec, parameters]);
  }

  read(reader: BlockReader): readonly Found[] {
    const stats = this.#stats;
    if (!this.#mayHold(reader.block, reader.sources())) {
      stats.blocksSkipped += 1;
      return [];
    }
    stats.blocksRead += 1;
    const { fromMs, toMs } = this.#range;
    const { connector } = this.#source;
    const found: Found[] = [];
    let [minMs, maxMs] = [Infinity, -Infinity];
    const items = new BlockReader(reader.block, reader.bytes);
    for (let item = items.next(); item !== undefined; item = items.next()) {
      if (item.kind !== 'record' || item.source !== connector) continue;
      const record = this.#decode(items, item);
      if (typeof record === 'string') {
        stats.unreadable[record] += 1;
        continue;
      }
      const { timeMs } = record;
      if (timeMs < minMs) minMs = timeMs;
      if (timeMs > maxMs) maxMs = timeMs;
      if (timeMs >= fromMs && timeMs < toMs) found.push({ record, topic: item.topic });
    }
    if (this.#timesKey !== null) this.#times.learn(this.#timesKey, reader.block, { minMs, maxMs });
    return found;
  }

  #mayHold(block: number, sources: ReturnType<BlockReader['sources']>): boolean {
    const { fromMs, toMs } = this.#range;
    const facts = sources.find(({ source }) => source === this.#source.connector);
    if (facts === undefined) return false;
    if (this.#timesKey === null) return facts.nowMax >= fromMs && facts.nowMin < toMs;
    return this.#times.mayHold(this.#timesKey, block, fromMs, toMs);
  }
}

function newStats(): ReadingStats {
  return { blocksRead: 0, blocksSkipped: 0, unreadable: { bad_json: 0, bad_time: 0 } };
}

function report(context: TaskContext, range: JournalRange, stats: ReadingStats): void {
  for (const [reason, count] of Object.entries(stats.unreadable)) {
    if (count === 0) continue;
    context.log.warn(`${count} records of ${range.source} were left out: ${reason}`);
  }
}
