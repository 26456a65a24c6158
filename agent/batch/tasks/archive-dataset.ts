/**
 * Archives the partitions of a dataset, a file each. The cursor holds the hash of the rows that
 * were archived: a partition whose rows have changed since is written anew.
 */
import type { ArchiveTaskConfig } from '@runnel/shared/definitions/tasks/archive.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import { zoneOffsetMs } from '@runnel/shared/engine/windows/time-zone.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import type { DatasetRecord } from '../records.ts';
import { type ArchivedFile, writeArchives } from '../tables/archive-files.ts';
import { sqlColumns } from '../tables/column-types.ts';
import { linkOrCopy } from '../tables/table-files.ts';
import { fileOf } from './archive-journal.ts';
import type { TaskContext } from './task.ts';
import { TaskError } from './task-error.ts';

export interface ArchivedPartition extends ArchivedFile {
  readonly start: number;
  readonly end: number;
  readonly hash: string;
}

export interface DatasetCursor {
  readonly v: 1;
  readonly dataset: string;
  /** By id; of partitions that the device still has. */
  readonly partitions: Readonly<Record<string, ArchivedPartition>>;
}

export interface DatasetArchive {
  readonly cursor: DatasetCursor;
  /** Of this attempt. */
  readonly files: readonly ArchivedFile[];
}

type Config = ArchiveTaskConfig & { readonly dataset: string };

export async function archiveDataset(
  config: Config,
  context: TaskContext,
): Promise<DatasetArchive> {
  const before = cursorOf(config, context.cursor);
  const oldMs = context.scope.run.at - config.olderThan;
  const there = context.services.datasets.partitions(config.dataset);
  const due = there
    .filter(
      ({ partition, end, hash }) => end <= oldMs && before.partitions[partition]?.hash !== hash,
    )
    .slice(0, limits.archivePeriodsMax);
  const plans = [];
  for (const [index, record] of due.entries()) {
    const { table } = record;
    if (table === null) continue;
    const rowsFile = `${context.scratchDir}/rows-${index}.jsonl`;
    await linkOrCopy(context.services.tables.pathOf(table), rowsFile);
    const file = fileOf(config.to, partitionOf(record, config.timezone), context);
    const columns = sqlColumns(table);
    plans.push({ record, plan: { rowsFile, rows: table.rows, file, columns } });
  }
  const { format, memory: memoryBytesMax } = config;
  const options = { format, memoryBytesMax };
  const files = await writeArchives(
    context,
    plans.map(({ plan }) => plan),
    options,
  );
  const known = new Map(Object.entries(before.partitions));
  for (const [index, { record }] of plans.entries()) {
    const file = files[index];
    const { partition, start, end, hash } = record;
    if (file !== undefined) known.set(partition, { ...file, start, end, hash });
  }
  const kept = [...known].filter(([id]) => there.some(({ partition }) => partition === id));
  return { cursor: { ...before, partitions: Object.fromEntries(kept) }, files };
}

function partitionOf({ partition, start, end }: DatasetRecord, timezone: string): Partition {
  const date = new Date(start + zoneOffsetMs(timezone, start)).toISOString().slice(0, 10);
  return { id: partition, key: null, start: epochMs(start), end: epochMs(end), timezone, date };
}

function cursorOf({ dataset }: Config, stored: Json): DatasetCursor {
  if (stored === null) return { v: 1, dataset, partitions: {} };
  const cursor = stored as unknown as DatasetCursor;
  if (cursor.dataset === dataset) return cursor;
  throw new TaskError(
    'definition',
    'archive_changed',
    `this task has archived ${cursor.dataset}; now it says ${dataset}`,
    { hint: 'Give the task another id and another path, so that no file is written over.' },
  );
}
