/**
 * `agent.yaml`: the settings of one agent (DESIGN.md §6.6). Written by `enroll`, read and edited
 * by people; strict, so that a misspelt key is an error and not a silent default.
 */
import { z } from 'zod';
import { limits } from '@runnel/shared/limits.ts';
import { labels } from '@runnel/shared/protocol/enrolment.ts';
import { hostPort, size } from './units.ts';

const secret = z
  .union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })])
  .describe('A secret by reference: the name of an environment variable, or a file that holds it.');

export const identity = z.strictObject({
  agent: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .describe('Id given at enrolment.'),
  name: z.string().describe('Name shown to people; a label, not an identity.'),
  labels: labels.default({}),
  rootFingerprint: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/)
    .describe("SHA-256 of the control plane's root key, pinned at enrolment."),
});
export type Identity = z.infer<typeof identity>;

const servers = z.strictObject({
  controlPlane: z.url().describe('Address of the control plane: enrolment and renewal.'),
  ca: z.string().optional().describe('File with the private CA of that address, PEM.'),
});

const embeddedBroker = z.strictObject({
  embedded: z
    .strictObject({ listen: hostPort.prefault('127.0.0.1:1883') })
    .describe('The broker inside the agent, started when a job uses it.'),
});
const externalBroker = z.strictObject({
  url: z
    .string()
    .regex(/^(mqtts?|tcp|ssl|tls|wss?):\/\//, 'expected an address such as mqtt://HOST'),
  username: z.string().optional(),
  password: secret.optional(),
  ca: z.string().optional().describe('File with a private CA, PEM.'),
  cert: z.string().optional().describe('File with the client certificate, PEM.'),
  key: z.string().optional().describe('File with the key of the client certificate, PEM.'),
});
export const broker = z.union([embeddedBroker, externalBroker]);
export type Broker = z.infer<typeof broker>;

const store = z.strictObject({
  budget: size
    .prefault(limits.storeBytesMax)
    .describe('Disk space of journal, state and outbox together. Full: the condition storage.'),
  journal: size.prefault(limits.journalBytesMax).describe('Of that for the journal.'),
  outbox: size.prefault(limits.outboxBytesMax).describe('Of that for the outbox.'),
});

const link = z.strictObject({
  bytesPerSecond: size
    .optional()
    .describe('Rate limit of a metered link to the control plane; alerts go first. Absent: none.'),
});

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

export const agentConfig = z.strictObject({
  apiVersion: z.literal('runnel/v1'),
  kind: z.literal('AgentConfig'),
  identity,
  servers,
  broker: broker
    .prefault({ embedded: {} })
    .describe('Default broker: what an mqtt source or sink without url uses.'),
  store: store.prefault({}),
  link: link.prefault({}),
  metrics: z
    .strictObject({ listen: hostPort })
    .optional()
    .describe('Prometheus metrics at http://HOST:PORT/metrics. Absent: off.'),
  log: z.strictObject({ level: z.enum(LOG_LEVELS).default('info') }).prefault({}),
});
export type AgentConfig = z.infer<typeof agentConfig>;
