/** Datasets that a test says are on the device before the run. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchJob } from '@runnel/shared/definitions/batch-job.ts';
import { partitionNamed } from '@runnel/shared/schedule/partitions.ts';
import { BATCH_FORMAT, type DatasetRecord, type TableRef } from '../../batch/records.ts';
import { keys } from '../../batch/runs/job-record.ts';
import { ColumnTypes } from '../../batch/tables/column-types.ts';
import { TableFiles } from '../../batch/tables/table-files.ts';
import type { Row } from '../../batch/tasks/task-services.ts';
import type { CheckpointStore } from '../../checkpoints/checkpoint-store.ts';
import { encodeVersioned } from '../../checkpoints/store-layout.ts';
import type { BatchStep } from './batch-test-file.ts';

/** A partition is named by an hour, day, week or month, or as the job's own are. */
export async function putDatasets(
  store: CheckpointStore,
  dataDir: string,
  { datasets, at }: Pick<BatchStep, 'datasets' | 'at'>,
  job: BatchJob,
): Promise<void> {
  const files = new TableFiles(dataDir);
  for (const [name, partitions] of Object.entries(datasets)) {
    for (const [partition, rows] of Object.entries(partitions)) {
      const table = await writeTable(files, `${name}-${partition}`, rows as readonly Row[]);
      const hash = await files.hash(table);
      const record: DatasetRecord = {
        name,
        partition,
        ...periodOf(job, partition, at),
        table: await files.toDataset(table, name, partition, hash),
        hash,
        revision: 1,
        job: 'given',
        run: null,
        updatedAt: at,
      };
      const key = keys.dataset(name, partition);
      await store.commit((tx) => tx.put('batch', key, encodeVersioned(BATCH_FORMAT, record)));
    }
  }
}

/** Names of periods, as partitions are called by them. */
const SHAPES: readonly (readonly [RegExp, every: string])[] = [
  [/^\d{4}-\d{2}-\d{2}$/, '1d'],
  [/^\d{4}-\d{2}-\d{2}T\d{2}$/, '1h'],
  [/^\d{4}-W\d{2}$/, '1w'],
  [/^\d{4}-\d{2}$/, '1mo'],
];

function periodOf(
  { partition }: BatchJob,
  id: string,
  atMs: number,
): { readonly start: number; readonly end: number } {
  const every = SHAPES.find(([shape]) => shape.test(id))?.[1];
  const timezone = partition?.timezone ?? 'UTC';
  const definition =
    every === undefined ? partition : ({ kind: 'period', every, timezone } as const);
  const { start, end } = partitionNamed(definition, id, atMs);
  return { start, end };
}

async function writeTable(
  files: TableFiles,
  name: string,
  rows: readonly Row[],
): Promise<TableRef> {
  const types = new ColumnTypes();
  for (const row of rows) types.add(row);
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const path = join('tables', 'given', `${name.replaceAll(/[^\w-]/g, '_')}.jsonl`);
  await mkdir(join(files.root, 'tables', 'given'), { recursive: true });
  await writeFile(join(files.root, path), text);
  const bytes = Buffer.byteLength(text);
  return { path, rows: rows.length, bytes, columns: types.columns() };
}
