/**
 * Result blocks, agent → control plane, request/reply on `cp.<agent>.results` (DESIGN.md §6.4).
 *
 * The request is JSON, gzipped when it starts with the gzip magic 0x1f8b. Rows of one lane and one
 * epoch in ascending `seq`. The control plane applies a block only if `after <= mark < last`,
 * skipping rows at or below the mark, and always answers with the lane's mark; the agent deletes
 * up to the mark and goes on from it. `lost` rows between `after` and the first row were dropped
 * by the outbox bound and are declared, never silent.
 */
import { z } from 'zod';
import { versionField } from './version.ts';

/**
 * The most urgent first: in this order they get the link, and from the end rows are shed. `urgent`,
 * `results` and `bulk` hold rows of jobs by the job's priority: above 0, 0, below. A control plane
 * that does not know `urgent` yet answers its blocks with an error; the rows wait for its update.
 */
export const LANES = ['alerts', 'urgent', 'results', 'bulk'] as const;
export const lane = z.enum(LANES);
export type Lane = z.infer<typeof lane>;

/** `run` and `task`: runs.ts. */
export const ROW_KINDS = ['result', 'alert', 'event', 'run', 'task'] as const;

export const row = z.object({
  /** Counts up from 1 in its (epoch, lane). */
  seq: z.number().int().positive(),
  kind: z.enum(ROW_KINDS),
  /** Job that made it; empty for events of the agent itself. */
  job: z.string(),
  version: z.number().int(),
  /** Step whose output it is. */
  step: z.string(),
  /** Results: the dataset. Alerts: the step. Events: the event's type. Runs, tasks: the run. */
  dataset: z.string(),
  /** JSON value of the key, null where there is none. */
  key: z.unknown(),
  windowStart: z.number().nullable(),
  windowEnd: z.number().nullable(),
  /** Event time, epoch ms. */
  time: z.number(),
  /** From 1; null value with a higher revision is a retraction. */
  revision: z.number().int(),
  value: z.unknown(),
  /** The `now` of the journal entry that made it: for delivery lag. */
  at: z.number(),
});
export type Row = z.infer<typeof row>;

export const resultBlock = z.object({
  v: versionField,
  agent: z.string(),
  epoch: z.string(),
  lane,
  /** The seq sent before this block in the lane; 0 at the start of an epoch. */
  after: z.number().int().nonnegative(),
  /** The highest seq of this block. */
  last: z.number().int().nonnegative(),
  /** Rows between `after` and `last` that the outbox dropped. */
  lost: z.number().int().nonnegative(),
  rows: z.array(row),
});
export type ResultBlock = z.infer<typeof resultBlock>;

export const markReply = z.object({
  v: versionField,
  epoch: z.string(),
  lane,
  mark: z.number().int().nonnegative(),
});
export type MarkReply = z.infer<typeof markReply>;

/** What any request gets when it cannot be answered. */
export const errorReply = z.object({
  v: versionField,
  error: z.object({ code: z.string(), message: z.string() }),
});
export type ErrorReply = z.infer<typeof errorReply>;
