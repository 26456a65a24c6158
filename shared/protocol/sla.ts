/**
 * Promises as a device speaks of them: the verdicts of now in its heartbeat, and each change as a
 * row of the lane `alerts`, kind `event`, dataset `sla`, so that the history of an offline time
 * arrives later, in order and once. The row's `time` is when the verdict changed.
 */
import { z } from 'zod';
import { SLA_KINDS } from '../definitions/sla.ts';
import { NAME } from '../ids.ts';
import { JUDGED } from '../sla/sla-state.ts';

/** The `dataset` of such a row, and the type of its event. */
export const SLA_EVENT = 'sla';

const name = z.string().regex(NAME);
const verdict = z.enum(JUDGED);

export const slaReport = z.object({
  job: name,
  sla: name,
  verdict,
  since: z.number(),
  cause: z.string(),
});
export type SlaReport = z.infer<typeof slaReport>;

export const slaChange = z.object({
  sla: name,
  kind: z.enum(SLA_KINDS),
  /** Null: not judged any more. */
  verdict: verdict.nullable(),
  was: z.object({ verdict, since: z.number() }).nullable(),
  target: z.string(),
  cause: z.string(),
  /** Of the event. */
  severity: z.string(),
  message: z.string(),
});
export type SlaChangeReport = z.infer<typeof slaChange>;
