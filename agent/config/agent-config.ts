/**
 * `agent.yaml`: the settings of one agent (DESIGN.md §6.6). Written by `enroll`, read and edited
 * by people; strict, so that a misspelt key is an error and not a silent default.
 */
import { z } from 'zod';
import { brokerFields, brokerProblem } from '@runnel/shared/definitions/mqtt-fields.ts';
import { size } from '@runnel/shared/definitions/size.ts';
import { strict, withHint } from '@runnel/shared/definitions/strict.ts';
import { labels } from '@runnel/shared/protocol/enrolment.ts';
import { hostPort } from './address.ts';
import { LOG_LEVELS } from './log-level.ts';

export const identity = strict({
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

const servers = strict({
  controlPlane: z.url().describe('Address of the control plane: enrolment and renewal.'),
  ca: z.string().optional().describe('File with the private CA of that address, PEM.'),
});

/** One key decides which: a union would tell of both when one of them is misspelt. */
const broker = strict({
  embedded: strict({ listen: hostPort.prefault('127.0.0.1:1883') })
    .optional()
    .describe('The broker inside the agent, started when a job uses it.'),
  ...brokerFields,
}).superRefine(({ embedded, ...external }, context) => {
  const add = (field: string, message: string): void =>
    context.addIssue({ code: 'custom', path: [field], message });
  const given = Object.keys(external).filter((key) => key in external);
  const [field] = given.filter((key) => external[key as keyof typeof external] !== undefined);
  if (embedded === undefined && external.url === undefined) {
    add('embedded', withHint('is missing', 'write embedded: {} or url: mqtt://HOST'));
  } else if (embedded !== undefined && field !== undefined) {
    add(field, withHint('does not go with embedded', 'leave one of them out'));
  } else {
    const problem = brokerProblem(external);
    if (problem !== undefined) add(...(problem as [string, string]));
  }
});
export type Broker = z.infer<typeof broker>;

const store = strict({
  budget: size
    .prefault('1GiB')
    .describe('Disk space of journal, state and outbox together. Full: the condition storage.'),
  journal: size.prefault('256MiB').describe('Of that for the journal.'),
  outbox: size.prefault('128MiB').describe('Of that for the outbox.'),
});

const link = strict({
  metered: z
    .boolean()
    .optional()
    .describe(
      'Whether the network costs by the byte, for jobs with a cheap window. Absent: it does by a ' +
        'modem, not by Wi-Fi or a cable.',
    ),
  bytesPerSecond: size
    .optional()
    .describe('Rate limit of a metered link to the control plane; alerts go first. Absent: none.'),
});

const batch = strict({
  tasksMax: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(4)
    .describe('Tasks of batch jobs that run at the same time.'),
  memory: size
    .prefault('256MiB')
    .describe('Sum of the memory that running tasks state as their cost.'),
  cpu: z
    .number()
    .positive()
    .max(1024)
    .optional()
    .describe('The same of cores. Absent: the cores of the device.'),
  pools: z
    .record(z.string().min(1).max(100), z.number().int().min(0).max(1000))
    .default({})
    .describe('Slots of the pools that tasks name. Example: `{ database: 1 }`.'),
  files: size
    .prefault('1GiB')
    .describe(
      'Disk space of tables, datasets and logs of batch jobs. Over it the runs that ended first ' +
        'go, never a dataset; if that does not help no run starts: the condition batch/files.',
    ),
});

export const agentConfig = strict({
  apiVersion: z.literal('runnel/v1'),
  kind: z.literal('AgentConfig'),
  identity,
  servers,
  broker: broker
    .prefault({ embedded: {} })
    .describe('Default broker: what an mqtt source or sink without url uses.'),
  store: store.prefault({}),
  link: link.prefault({}),
  power: z
    .enum(['mains', 'battery'])
    .optional()
    .describe('What the device lives on, where the system cannot tell.'),
  batch: batch.prefault({}).describe('What the tasks of batch jobs may take together.'),
  metrics: z
    .strictObject({ listen: hostPort })
    .optional()
    .describe('Prometheus metrics at http://HOST:PORT/metrics. Absent: off.'),
  log: strict({ level: z.enum(LOG_LEVELS).default('info') }).prefault({}),
});
export type AgentConfig = z.infer<typeof agentConfig>;
