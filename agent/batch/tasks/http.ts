/** One HTTP request; what it may do is said in shared/definitions/tasks/http.ts. */
import type { HttpTaskConfig } from '@runnel/shared/definitions/tasks/http.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import { answerError, type HttpAnswer, isExpected, placeOf } from '../io/http-answer.ts';
import { HttpClient, httpBody } from '../io/http-client.ts';
import { bodyHash, idempotencyKey } from '../io/idempotency-key.ts';
import { parseBody } from '../io/parse-body.ts';
import { isRow } from '../io/rows.ts';
import { tableOutput } from '../tables/table-output.ts';
import { defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';
import { TaskError } from './task-error.ts';

export const httpTask = defineTaskRunner<HttpTaskConfig>({
  kind: 'http',
  async run(config, context) {
    const { method, bodyMax, expect } = config;
    const isReading = method === 'GET' || method === 'HEAD';
    const client = await HttpClient.open(config, context);
    const sent = httpBody(config.body);
    try {
      const answer = await client.send({
        method,
        url: client.url,
        body: sent,
        bodyMax,
        accept: config.response === 'json' ? 'application/json, */*;q=0.1' : '*/*',
        idempotencyKey: isReading ? undefined : idempotencyKey(context, bodyHash(sent)),
      });
      const { status, body, url } = answer;
      context.log.info(`${method} ${placeOf(url)}: ${status}, ${body.length} bytes`);
      if (!isExpected(status, expect)) throw answerError(answer, method, context.clock.now());
      return await successOf(answer, config, context);
    } finally {
      client.close();
    }
  },
});

async function successOf(
  answer: HttpAnswer,
  { response }: HttpTaskConfig,
  context: TaskContext,
): Promise<TaskSuccess> {
  const { status, body } = answer;
  const facts = { status, bytes: body.length };
  if (response === 'none') return { output: { ...facts, body: null } };
  if (response === 'text') return bounded({ ...facts, body: body.toString('utf8') });
  const value = body.length === 0 ? null : parseBody(body, placeOf(answer.url));
  if (!Array.isArray(value) || value.length === 0 || !value.every(isRow)) {
    return bounded({ ...facts, body: value });
  }
  const table = await context.services.tables.write(context, value);
  // The rows are the body: they are not there twice.
  const { rows = null, ...shape } = await tableOutput(context.services.tables, table);
  return { output: { ...facts, ...shape, body: rows }, table };
}

/** What is given on to expressions is small; a large answer is read by `extract`. */
function bounded(output: Json): TaskSuccess {
  const bytes = Buffer.byteLength(JSON.stringify(output));
  if (bytes <= limits.taskOutputBytesMax) return { output };
  throw new TaskError(
    'resources',
    'response_too_large',
    `the answer gives an output of ${bytes} bytes; at most ${limits.taskOutputBytesMax}`,
    { hint: 'Read it with extract, or with response: none.' },
  );
}
