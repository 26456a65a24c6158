/**
 * Rows to an HTTP API in batches, one after the other. The cut into batches depends on the rows
 * alone, so that an attempt that is made again sends the same batches under the same keys; where
 * other rows went out before, all of them go out under new ones.
 */
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { TableRef } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import { answerError, isExpected, placeOf } from './http-answer.ts';
import { contentHash } from './content-hash.ts';
import { idempotencyKey } from './idempotency-key.ts';
import { type HttpBody, HttpClient } from './http-client.ts';

type HttpConfig = NonNullable<LoadTaskConfig['http']>;

/** How many requests it took. */
export async function loadOverHttp(
  config: HttpConfig,
  table: TableRef,
  context: TaskContext,
): Promise<number> {
  const { batchMax, batchRows, format, wrap = null } = config;
  const sent = await contentHash(table, context, { batchMax, batchRows, format, wrap });
  const key = idempotencyKey(context, sent);
  const client = await HttpClient.open(config, context);
  let requests = 0;
  try {
    for await (const batch of batchesOf(config, table, context)) {
      if (requests > 0) await context.clock.sleep(config.pause, context.signal);
      const answer = await client.send({
        method: config.method,
        url: client.url,
        body: bodyOf(config, batch),
        bodyMax: limits.loadAnswerBytesMax,
        accept: '*/*',
        idempotencyKey: `${key}-${requests}`,
      });
      if (!isExpected(answer.status, config.expect)) {
        throw answerError(answer, config.method, context.clock.now());
      }
      requests += 1;
    }
  } finally {
    client.close();
  }
  const place = placeOf(client.url);
  context.log.info(`${config.method} ${place}: ${table.rows} rows in ${requests} requests`);
  return requests;
}

async function* batchesOf(
  { batchRows, batchMax }: HttpConfig,
  table: TableRef,
  { services, signal }: TaskContext,
): AsyncGenerator<readonly string[]> {
  let batch: string[] = [];
  let bytes = 0;
  for await (const rows of services.tables.read(table)) {
    signal.throwIfAborted();
    for (const row of rows) {
      const line = JSON.stringify(row);
      const lineBytes = Buffer.byteLength(line) + 1;
      if (batch.length >= batchRows || (batch.length > 0 && bytes + lineBytes > batchMax)) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push(line);
      bytes += lineBytes;
    }
  }
  if (batch.length > 0) yield batch;
}

function bodyOf({ format, wrap }: HttpConfig, lines: readonly string[]): HttpBody {
  if (format === 'jsonl') {
    return { type: 'application/x-ndjson', bytes: Buffer.from(`${lines.join('\n')}\n`) };
  }
  const list = `[${lines.join(',')}]`;
  const text = wrap === undefined ? list : `{${JSON.stringify(wrap)}:${list}}`;
  return { type: 'application/json', bytes: Buffer.from(text) };
}
