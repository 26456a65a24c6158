/**
 * Rows into a file: written beside it, flushed, renamed. A reader sees the old file or the new one,
 * and after a power cut it is one of both, whole. What a crash leaves beside is overwritten by the
 * next attempt.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import { syncDirectory } from '../../config/durable-file.ts';
import type { TableRef } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import type { Row } from '../tasks/task-services.ts';
import { csvField, csvLine } from './csv.ts';
import { formatOf } from './extract-files.ts';

type FileConfig = NonNullable<LoadTaskConfig['file']>;

export interface FileLoad {
  /** Absolute. */
  readonly file: string;
  readonly bytes: number;
}

export async function loadIntoFile(
  config: FileConfig,
  table: TableRef,
  context: TaskContext,
): Promise<FileLoad> {
  const { policy, tables } = context.services;
  const file = policy.path(config.path);
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  const beside = join(folder, `.${basename(file)}.${context.effectKey.slice(0, 8)}.new`);
  // Whatever is there is of an attempt before, or a link that somebody laid.
  await rm(beside, { force: true });
  const handle = await open(beside, 'wx', 0o640);
  let bytes = 0;
  try {
    const layout = layoutOf(config, table);
    const write = async (text: string): Promise<void> => {
      const chunk = Buffer.from(text);
      await handle.writeFile(chunk);
      bytes += chunk.length;
    };
    await write(layout.head);
    let isFirst = true;
    for await (const chunk of tables.read(table)) {
      context.signal.throwIfAborted();
      if (chunk.length > 0) await write(layout.chunk(chunk, isFirst));
      isFirst = false;
    }
    await write(layout.tail);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await rm(beside, { force: true });
    throw error;
  }
  await handle.close();
  await rename(beside, file);
  await syncDirectory(folder);
  return { file, bytes };
}

interface Layout {
  readonly head: string;
  readonly tail: string;
  chunk(rows: readonly Row[], isFirst: boolean): string;
}

function layoutOf({ path, format, delimiter, header }: FileConfig, table: TableRef): Layout {
  const kind = formatOf(path, format);
  if (kind === 'jsonl') {
    return { head: '', tail: '', chunk: (rows) => rows.map((row) => `${json(row)}\n`).join('') };
  }
  if (kind === 'json') {
    const chunk = (rows: readonly Row[], isFirst: boolean): string =>
      `${isFirst ? '' : ',\n'}${rows.map(json).join(',\n')}`;
    return { head: '[', tail: ']\n', chunk };
  }
  const columns = table.columns.map(({ name }) => name);
  const names = columns.map((name) => csvField(name, delimiter)).join(delimiter);
  return {
    head: header && columns.length > 0 ? `${names}\n` : '',
    tail: '',
    chunk: (rows) => rows.map((row) => `${csvLine(row, columns, delimiter)}\n`).join(''),
  };
}

const json = (row: Row): string => JSON.stringify(row);
