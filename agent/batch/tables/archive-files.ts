/**
 * Writes archive files: made in the scratch directory, read back, and only then put in place
 * (place-file.ts), so that a name always stands for a whole and verified file.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { limits } from '@runnel/shared/limits.ts';
import type { ParquetAnswer, ParquetRequest } from '../child/run-parquet.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import { placeFile } from './place-file.ts';

/** Rows that become one file. */
export interface ArchivePlan {
  /** JSON lines in the scratch directory. */
  readonly rowsFile: string;
  readonly rows: number;
  /** As the job names it. */
  readonly file: string;
  readonly columns: ParquetRequest['files'][number]['columns'];
}

export interface ArchivedFile {
  readonly file: string;
  readonly rows: number;
  readonly bytes: number;
  /** Over the rows: of DuckDB's hashes for parquet, SHA-256 for jsonl. */
  readonly checksum: string;
}

export interface ArchiveOptions {
  readonly format: 'parquet' | 'jsonl';
  readonly memoryBytesMax: number;
}

/** In the order of the plans; all are verified before the first gets its name. */
export async function writeArchives(
  context: TaskContext,
  plans: readonly ArchivePlan[],
  options: ArchiveOptions,
): Promise<ArchivedFile[]> {
  if (plans.length === 0) return [];
  const targets = plans.map(({ file }) => context.services.policy.path(file));
  const made = plans.map((_, index) => join(context.scratchDir, `archive-${index}`));
  const checksums =
    options.format === 'parquet'
      ? await writeParquet(context, plans, made, options.memoryBytesMax)
      : await writeLines(context, plans, made);
  const files: ArchivedFile[] = [];
  for (const [index, { file, rows }] of plans.entries()) {
    context.signal.throwIfAborted();
    const bytes = await placeFile(made[index] ?? '', targets[index] ?? '');
    files.push({ file, rows, bytes, checksum: checksums[index] ?? '' });
  }
  return files;
}

async function writeParquet(
  context: TaskContext,
  plans: readonly ArchivePlan[],
  made: readonly string[],
  memoryBytesMax: number,
): Promise<string[]> {
  const body: ParquetRequest = {
    scratchDir: context.scratchDir,
    tempBytesMax: limits.archiveTempBytesMax,
    rowBytesMax: limits.tableRowBytesMax,
    files: plans.map(({ rowsFile, rows, columns }, index) => ({
      rowsFile: basename(rowsFile),
      rows,
      columns,
      target: basename(made[index] ?? ''),
    })),
  };
  const request = { kind: 'parquet', body, memoryBytesMax };
  const answer = (await context.services.children.run(context, request)) as ParquetAnswer;
  return answer.map(({ checksum }) => checksum);
}

async function writeLines(
  { signal }: TaskContext,
  plans: readonly ArchivePlan[],
  made: readonly string[],
): Promise<string[]> {
  const checksums: string[] = [];
  for (const [index, { rowsFile, rows }] of plans.entries()) {
    const target = made[index] ?? '';
    await pipeline(createReadStream(rowsFile), createGzip(), createWriteStream(target), { signal });
    const source = await lineSum(createReadStream(rowsFile), signal);
    const copy = await lineSum(createReadStream(target).pipe(createGunzip()), signal);
    if (source.checksum !== copy.checksum || copy.lines !== rows) {
      throw new TaskError(
        'data',
        'archive_mismatch',
        `the file that was written does not hold what it should: ${copy.lines} rows of ${rows}`,
        { hint: 'Nothing was replaced or removed; the disk may be failing.' },
      );
    }
    checksums.push(copy.checksum);
  }
  return checksums;
}

async function lineSum(
  stream: NodeJS.ReadableStream,
  signal: AbortSignal,
): Promise<{ lines: number; checksum: string }> {
  const hash = createHash('sha256');
  let lines = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    hash.update(chunk);
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
  }
  return { lines, checksum: hash.digest('hex') };
}
