/**
 * Rows of one SELECT of a SQLite database: the child reads it and writes JSON lines, which are read
 * here. A damaged database, or a query without end, harms the child alone.
 */
import { join } from 'node:path';
import type { ExtractTaskConfig } from '@runnel/shared/definitions/tasks/extract.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { SqliteExtractRequest } from '../child/sqlite-request.ts';
import { readLines } from '../tables/line-file.ts';
import type { TaskContext } from '../tasks/task.ts';
import type { Row } from '../tasks/task-services.ts';
import type { CursorValue } from './cursor.ts';

export async function* sqliteRows(
  config: NonNullable<ExtractTaskConfig['sqlite']>,
  since: CursorValue | null,
  rowsMax: number,
  context: TaskContext,
): AsyncGenerator<Row> {
  const { program, scope, services, scratchDir } = context;
  const { text, values } = program.bind(config.query, scope);
  const numbered = values.map((value, index): [string, Json] => [String(index + 1), value]);
  const file = join(scratchDir, 'sqlite.jsonl');
  const request: SqliteExtractRequest = {
    action: 'extract',
    path: services.policy.path(config.path),
    busyTimeoutMs: config.busyTimeout,
    query: text,
    parameters: { ...Object.fromEntries(numbered), cursor: since },
    file,
    // One more, so that the bound is seen to be passed.
    rowsMax: rowsMax + 1,
  };
  await services.children.run(context, {
    kind: 'sqlite',
    body: request,
    memoryBytesMax: limits.sqliteMemoryBytesMax,
  });
  for await (const lines of readLines(file)) {
    context.signal.throwIfAborted();
    for (const line of lines) yield JSON.parse(line) as Row;
  }
}
