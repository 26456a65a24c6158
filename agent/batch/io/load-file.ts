/**
 * Rows into a file: written beside it, flushed, renamed (tables/place-file.ts). A reader sees the
 * old file or the new one, and after a power cut it is one of both, whole.
 */
import { open } from 'node:fs/promises';
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import type { TableRef } from '../records.ts';
import { replaceFile } from '../tables/place-file.ts';
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
  const file = context.services.policy.path(config.path);
  let bytes = 0;
  await replaceFile(file, async (beside) => {
    bytes = await writeRows(beside, config, table, context);
  });
  return { file, bytes };
}

async function writeRows(
  path: string,
  config: FileConfig,
  table: TableRef,
  { services, signal }: TaskContext,
): Promise<number> {
  const handle = await open(path, 'wx', 0o640);
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
    for await (const chunk of services.tables.read(table)) {
      signal.throwIfAborted();
      if (chunk.length > 0) await write(layout.chunk(chunk, isFirst));
      isFirst = false;
    }
    await write(layout.tail);
  } finally {
    await handle.close();
  }
  return bytes;
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
