/** What the agent offers to tasks. Built once by the composition root, shared by all attempts. */
import type { Logger } from 'pino';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { DatasetRecord, TableRef } from '../records.ts';
import type { TaskContext } from './task.ts';

export type Row = Readonly<Record<string, Json>>;

/** Rows of a table file. */
export interface Tables {
  /**
   * Writes rows to a new file of the attempt's run; counts, bounds and column types are kept.
   * Throws a `TaskError` (`resources`) beyond `limits.tableBytesMax`.
   */
  write(context: TaskContext, rows: AsyncIterable<Row> | Iterable<Row>): Promise<TableRef>;
  /**
   * Takes over a file of JSON lines in the scratch directory, flushed by whoever wrote it, by
   * rename. Without `known` it is read through.
   */
  adopt(
    context: TaskContext,
    file: string,
    known?: Pick<TableRef, 'rows' | 'columns'>,
  ): Promise<TableRef>;
  /** In chunks, so that the event loop runs between them. */
  read(table: TableRef): AsyncIterable<readonly Row[]>;
  /** Absolute path, for children. Throws for a table of several files. */
  pathOf(table: TableRef): string;
  /** Absolute paths of all its files, in order. */
  pathsOf(table: TableRef): string[];
}

export interface JournalRange {
  /**
   * Alias of a source, as `journal('…')` has it: of the job itself, of a stream job, `job/alias`.
   */
  readonly source: string;
  /** Event time `[fromMs, toMs)`; Infinity where there is no bound. */
  readonly fromMs: number;
  readonly toMs: number;
  /**
   * Only records of this block or a later one: what came in since `nextBlock` was asked. Such a
   * range asks nothing of the journal's completeness.
   */
  readonly fromBlock?: number;
  /** Only records of blocks before this one. */
  readonly toBlock?: number;
  /** From when on the journal must be whole; default: `fromMs`, where that is a bound. */
  readonly neededFromMs?: number;
}

/** A source, as `job/alias` where a job declares it, and when its oldest record arrived. */
export interface SourceSince {
  readonly source: string;
  readonly sinceMs: number;
}

export interface JournalRows {
  /**
   * Rows `{_time, _topic, …payload}` in journal order, in chunks; a payload that is no object is
   * `payload`. Throws a `TaskError` of class `journal_incomplete` before the first row when the
   * journal was cut after `fromMs`, unless the job allows partial runs.
   */
  rows(context: TaskContext, range: JournalRange): AsyncIterable<readonly Row[]>;
  /** The same as JSON lines, without parsing what need not be parsed; returns how many. */
  write(context: TaskContext, range: JournalRange, file: string): Promise<number>;
  /** The block that the next record goes to: everything before it can be read. */
  nextBlock(): number;
  /** The oldest block that is kept. */
  firstBlock(): number;
  /** The oldest block that holds what arrived at this time or later. */
  blockSince(arrivalMs: number): number;
  /** How far a record's event time may be ahead of its arrival: 0 where they are the same. */
  aheadMsMax(context: TaskContext, source: string): number;
  /** All that arrived at this time or later is there; -Infinity: nothing was ever dropped. */
  wholeFromMs(): number;
  /** What the journal calls a source. Throws as `rows` does where it cannot tell. */
  connectorOf(context: TaskContext, source: string): string;
  /** What arrived at this time or later is history that jobs want kept; Infinity: none does. */
  historyFromMs(): number;
  /** The first of other sources than these in the blocks that arrived before as a whole. */
  oldestBeside(
    context: TaskContext,
    connectors: ReadonlySet<string>,
    beforeMs: number,
  ): Promise<SourceSince | undefined>;
  /** Asks the journal to drop what arrived before, as far as jobs have read it; returns records. */
  purgeBefore(timeMs: number): Promise<number>;
}

export interface DatasetsOnDevice {
  /** Partitions of a dataset that overlap `[fromMs, toMs)`, by start. */
  partitions(name: string, fromMs?: number, toMs?: number): readonly DatasetRecord[];
}

/** The device's policy (I8); each throws a `TaskError` of class `policy`. */
export interface TaskPolicy {
  /** Absolute path of what a job calls `path`: relative ones are below the data directory. */
  path(path: string): string;
  /** The program with its arguments, and the names of the variables that the job sets for it. */
  command(run: readonly string[], variables: readonly string[]): void;
  host(url: URL): void;
  env(name: string): void;
  /** The value of a credential by reference. */
  secret(ref: unknown): string;
}

export interface ChildRequest {
  /** Key of the table in child/task-child.ts. */
  readonly kind: string;
  readonly body: unknown;
  /** Resident memory at which the child is ended; it is told to stay below it too. */
  readonly memoryBytesMax: number;
  /** Answers what the child asks on its way; what it throws ends the child and the request. */
  readonly answer?: (question: unknown) => Promise<unknown>;
}

/** Work that must not harm the agent, in a process of its own. */
export interface Children {
  /**
   * Runs it and gives what it answers. The child is killed with its whole process group when the
   * context's signal aborts. Throws `TaskError`: `resources` beyond its memory, `process` when it
   * died, else the class that it named.
   */
  run(context: TaskContext, request: ChildRequest): Promise<unknown>;
}

/** The store of the agent, for `compact`. */
export interface StoreCare {
  /**
   * Copies the store without its free pages, verifies the copy and goes on with it; nothing is
   * taken in for the last `heldMs` of it. The signal leaves the store as it was.
   */
  compact(signal: AbortSignal): Promise<{
    readonly bytesBefore: number;
    readonly bytesAfter: number;
    readonly heldMs: number;
  }>;
  /** Size of the store's file and what of it is in use: the rest is what `compact` would free. */
  usage(): { readonly fileBytes: number; readonly usedBytes: number };
}

export interface IndexReport {
  readonly checked: number;
  readonly missing: number;
  readonly orphaned: number;
  readonly wrong: number;
  readonly repaired: number;
}

/** Derived records of the store, for `reindex`. */
export interface IndexCare {
  /** Checks all of them, and mends what differs in one commit unless it is a dry run. */
  rebuild(dryRun: boolean, signal: AbortSignal): Promise<IndexReport>;
}

export interface TaskServices {
  readonly log: Logger;
  readonly tables: Tables;
  readonly journal: JournalRows;
  readonly datasets: DatasetsOnDevice;
  readonly policy: TaskPolicy;
  readonly children: Children;
  readonly store: StoreCare;
  readonly index: IndexCare;
  /** MQTT broker of the device for jobs without `url`; see sources/registry.ts. */
  readonly broker: unknown;
}
