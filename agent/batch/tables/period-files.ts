/**
 * Rows of the journal sorted into periods: a file of JSON lines for each, in the scratch directory.
 */
import { join } from 'node:path';
import { limits } from '@runnel/shared/limits.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { partitionsAt, partitionsBetween } from '@runnel/shared/schedule/partitions.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import { LineWriter } from './line-file.ts';
import { safeName } from './safe-name.ts';

export interface PeriodFile {
  readonly period: Partition;
  readonly rowsFile: string;
  readonly rows: number;
}

/** Periods of one size in one zone. */
export class PeriodGrid {
  readonly #definition: {
    readonly kind: 'period';
    readonly every: string;
    readonly timezone: string;
  };
  #last: Partition | undefined;

  constructor(every: string, timezone: string) {
    this.#definition = { kind: 'period', every, timezone };
  }

  /** End of the newest period that ended at or before the instant. */
  endBefore(timeMs: number): number {
    return partitionsAt(this.#definition, timeMs)[0]?.end ?? timeMs;
  }

  around(timeMs: number): Partition {
    const last = this.#last;
    if (last !== undefined && timeMs >= last.start && timeMs < last.end) return last;
    const start = this.endBefore(timeMs);
    const [found] = partitionsBetween(this.#definition, start, start + 1, Infinity);
    if (found === undefined) throw new TaskError('other', 'period', `no period holds ${timeMs}`);
    this.#last = found;
    return found;
  }
}

/** Opens a file per period as rows of it come. */
export class PeriodFiles {
  readonly #directory: string;
  readonly #prefix: string;
  readonly #grid: PeriodGrid;
  readonly #writers = new Map<string, { period: Partition; file: string; writer: LineWriter }>();

  constructor(directory: string, prefix: string, grid: PeriodGrid) {
    this.#directory = directory;
    this.#prefix = prefix;
    this.#grid = grid;
  }

  /** Rows have `_time`. Throws `TaskError` (`resources`) for too many periods at once. */
  async add(rows: readonly Row[]): Promise<void> {
    const full = new Set<LineWriter>();
    for (const row of rows) {
      const period = this.#grid.around(row._time as number);
      const { writer } = this.#writers.get(period.id) ?? (await this.#open(period));
      if (writer.add(JSON.stringify(row))) full.add(writer);
    }
    for (const writer of full) await writer.flush();
  }

  async close(): Promise<PeriodFile[]> {
    const files: PeriodFile[] = [];
    for (const { period, file, writer } of this.#writers.values()) {
      await writer.close({ durable: false });
      files.push({ period, rowsFile: file, rows: writer.lines });
    }
    return files.toSorted((a, b) => a.period.start - b.period.start);
  }

  async abandon(): Promise<void> {
    for (const { writer } of this.#writers.values()) await writer.abandon();
  }

  async #open(period: Partition): Promise<{ writer: LineWriter }> {
    if (this.#writers.size >= limits.archivePeriodsMax) {
      throw new TaskError(
        'resources',
        'archive_periods',
        `more than ${limits.archivePeriodsMax} periods are to be archived at once`,
        { hint: 'Choose a longer period.' },
      );
    }
    const file = join(this.#directory, `${this.#prefix}-${safeName(period.id)}.jsonl`);
    const writer = await LineWriter.create(file, limits.tableBytesMax);
    const opened = { period, file, writer };
    this.#writers.set(period.id, opened);
    return opened;
  }
}
