/** Results and alerts on the wire. */
import { z } from '@hono/zod-openapi';
import type { ResultRecord } from '../../store/results.ts';
import type { ResultItem } from '../live-messages.ts';

const count = z.number().int();

const resultFields = {
  agent: z.string(),
  epoch: z.string(),
  lane: z.string(),
  seq: count,
  job: z.string(),
  version: count,
  step: z.string(),
  key: z.unknown(),
  windowStart: z.number().nullable(),
  windowEnd: z.number().nullable(),
  time: z.number(),
  revision: count,
  value: z.unknown().openapi({ description: 'Null is a retraction.' }),
  receivedAt: z.number(),
};

export const resultSchema = z
  .object(resultFields)
  .openapi('Result') satisfies z.ZodType<ResultItem>;

export const alertRowSchema = z
  .object({ ...resultFields, dataset: z.string() })
  .openapi('AlertRow');

export function resultItem(record: ResultRecord): ResultItem {
  return {
    agent: record.agent,
    epoch: record.epoch,
    lane: record.lane,
    seq: record.seq,
    job: record.job,
    version: record.version,
    step: record.step,
    key: record.key,
    windowStart: record.windowStart,
    windowEnd: record.windowEnd,
    time: record.time,
    revision: record.revision,
    value: record.value,
    receivedAt: record.receivedAt,
  };
}
