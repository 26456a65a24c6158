/** Alerts, silences, receivers and notifications on the wire; `satisfies` keeps the types. */
import { z } from '@hono/zod-openapi';
import {
  ALERT_SOURCES,
  ALERT_STATES,
  type AlertItem,
  type NotificationItem,
  type ReceiverItem,
  type SilenceItem,
} from '../alert-messages.ts';

export const alertSeverity = z.enum(['info', 'warning', 'error']);

export const alertSchema = z
  .object({
    id: z.string(),
    source: z.enum(ALERT_SOURCES),
    severity: alertSeverity,
    state: z.enum(ALERT_STATES),
    title: z.string().openapi({ description: 'A few words: what is wrong.' }),
    message: z.string().openapi({ description: 'The cause.' }),
    labels: z.record(z.string(), z.string()).openapi({
      description: 'What silences and receivers match.',
    }),
    agent: z.string().nullable(),
    agentName: z.string().nullable(),
    job: z.string().nullable(),
    startedAt: z.number(),
    lastAt: z.number().openapi({ description: 'When it was last said.' }),
    endedAt: z.number().nullable(),
    count: z.number().int().openapi({ description: 'How often it was said.' }),
    acknowledgedBy: z.string().nullable(),
    silencedBy: z.string().nullable().openapi({ description: 'Id of a silence.' }),
    link: z.string().openapi({ description: 'Path of the page that shows more.' }),
  })
  .openapi('Alert') satisfies z.ZodType<AlertItem>;

export const silenceSchema = z
  .object({
    id: z.string(),
    selector: z.string(),
    from: z.number(),
    until: z.number(),
    comment: z.string(),
    by: z.string(),
  })
  .openapi('Silence') satisfies z.ZodType<SilenceItem>;

export const receiverKind = z.enum(['webhook', 'email', 'slack', 'alertmanager']);

export const receiverSchema = z
  .object({
    name: z.string(),
    kind: receiverKind,
    selector: z.string(),
    severity: alertSeverity,
    sendResolved: z.boolean(),
    secrets: z.record(z.string(), z.string()).openapi({
      description: 'Where each secret comes from; never the secret.',
    }),
    settings: z.record(z.string(), z.unknown()),
    lastSentAt: z.number().nullable(),
    lastError: z.string().nullable(),
  })
  .openapi('Receiver') satisfies z.ZodType<ReceiverItem>;

export const notificationSchema = z
  .object({
    id: z.string(),
    receiver: z.string(),
    at: z.number(),
    alerts: z.array(z.string()).readonly(),
    outcome: z.enum(['sent', 'retrying', 'failed']),
    attempts: z.number().int(),
    error: z.string().nullable(),
  })
  .openapi('Notification') satisfies z.ZodType<NotificationItem>;
