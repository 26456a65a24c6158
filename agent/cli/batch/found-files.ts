/** Files that a run has left, as text or as rows. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { keys } from '../../batch/runs/job-record.ts';
import { TableFiles } from '../../batch/tables/table-files.ts';
import type { TaskRecord } from '../../batch/records.ts';
import { desiredJob } from './journal-inputs.ts';
import type { LocalDevice } from './local-device.ts';

const READER = 'dry-run-read';
/** Read by the device's own SQL, so that types are as any reader has them. */
const TABULAR = /\.(parquet|csv)$/;

/** A job that reads these files into tables; none where there is nothing that needs it. */
export function readerJob(paths: readonly string[]): DesiredJob | undefined {
  const tabular = paths.filter((path) => TABULAR.test(path));
  if (tabular.length === 0) return undefined;
  return desiredJob(READER, {
    apiVersion: 'runnel/v1',
    kind: 'BatchJob',
    metadata: { name: READER },
    tasks: tabular.map((path, index) => ({
      id: `file-${index}`,
      sql: { query: `SELECT * FROM file('${path.replaceAll("'", "''")}')` },
    })),
  });
}

/** Rows by path, of files that `readerJob` was made for. */
export async function tabularRows(
  device: LocalDevice,
  dataDir: string,
  paths: readonly string[],
): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const tabular = paths.filter((path) => TABULAR.test(path));
  const found = new Map<string, readonly unknown[]>();
  if (tabular.length === 0) return found;
  const run = await device.runJob(READER, null);
  for (const [index, path] of tabular.entries()) {
    const record = device.records.get<TaskRecord>(keys.task(run.id, `file-${index}`, null));
    if (record?.state === 'success') found.set(path, await tableRows(dataDir, record));
    else if (existsSync(resolve(dataDir, path))) {
      throw new RunnelError('test_file', `${path}: ${record?.error?.message ?? 'cannot be read'}`);
    }
  }
  return found;
}

export async function tableRows(
  dataDir: string,
  { table }: Pick<TaskRecord, 'table'>,
): Promise<readonly unknown[]> {
  const rows: unknown[] = [];
  if (table === null) return rows;
  for await (const chunk of new TableFiles(dataDir).read(table)) rows.push(...chunk);
  return rows;
}

/** Null when there is no such file. */
export function textOf(dataDir: string, path: string): string | null {
  const file = resolve(dataDir, path);
  if (!existsSync(file)) return null;
  const bytes = readFileSync(file);
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

/** Of JSON lines, or of a JSON list. */
export function jsonRows(text: string, path: string): readonly unknown[] {
  try {
    if (text.trimStart().startsWith('[')) return JSON.parse(text) as unknown[];
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return lines.map((line) => JSON.parse(line) as unknown);
  } catch (error) {
    throw new RunnelError('test_file', `${path} holds no rows: neither JSON lines nor a list`, {
      cause: error,
    });
  }
}
