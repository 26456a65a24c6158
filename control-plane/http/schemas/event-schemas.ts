/** Events and audit rows on the wire. */
import { z } from '@hono/zod-openapi';
import type { EventRecord } from '../../store/events.ts';

export const eventSchema = z
  .object({
    at: z.number(),
    agent: z.string().nullable(),
    job: z.string().nullable(),
    type: z.string(),
    severity: z.enum(['ok', 'info', 'warning', 'error']),
    message: z.string(),
    data: z.unknown(),
  })
  .openapi('Event');

export const eventListSchema = z.object({
  items: z.array(eventSchema).readonly(),
  next: z.string().openapi({ description: 'Pass as `after` for what comes later.' }),
});

function eventItem(record: EventRecord) {
  const { at, agent, job, type, severity, message, data } = record;
  return { at, agent, job, type, severity, message, data };
}

/** `next` is the newest id seen, so that a follower goes on from there. */
export function eventPage(records: readonly EventRecord[], after = 0) {
  const newest = records.reduce((max, record) => Math.max(max, record.id), after);
  return { items: records.map(eventItem), next: String(newest) };
}

export const auditSchema = z
  .object({
    id: z.number().int(),
    at: z.number(),
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    data: z.unknown(),
  })
  .openapi('AuditEntry');
