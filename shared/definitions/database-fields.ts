/**
 * What extract and load have in common where they meet databases, and brokers as a target.
 */
import { z } from 'zod';
import { credential } from './credential.ts';
import { positiveDuration } from './duration.ts';
import { brokerFields } from './mqtt-fields.ts';
import { topicProblem } from './mqtt-topic.ts';
import { rowExpression } from './row-expression.ts';
import { type Fields, strict, withHint } from './strict.ts';

const postgresUrl = z
  .string()
  .max(2048)
  .superRefine((text, context) => {
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    const add = (message: string, hint: string): void =>
      context.addIssue({ code: 'custom', message: withHint(message, hint) });
    const isPostgres = /^postgres(ql)?:$/.test(parsed?.protocol ?? '');
    if (parsed === undefined || !isPostgres || parsed.hostname === '') {
      add('is no URL of a database', 'write postgres://user@host:5432/database');
    } else if (parsed.password !== '') {
      add('must not hold a password', 'use password: { env | file }');
    } else if (parsed.search !== '') {
      add('must not have parameters', 'use tls:, ca: and connectTimeout:');
    } else if (parsed.pathname.length < 2 || parsed.username === '') {
      add('names no user or no database', 'write postgres://user@host:5432/database');
    }
  });

export const postgresFields = {
  url: postgresUrl.describe('Server, user and database. Example: `postgres://runnel@db:5432/mes`.'),
  password: credential.optional().describe('Password by reference.'),
  tls: z
    .enum(['off', 'require', 'verify'])
    .optional()
    .describe(
      'off: not encrypted. require: encrypted, any certificate. verify: the certificate and its ' +
        'name are checked. Default: `verify` for other hosts than this device, else `off`.',
    ),
  ca: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('Certificates that replace those of the system, a PEM file on the device.'),
  connectTimeout: positiveDuration.prefault('10s').describe('How long connecting may take.'),
};

interface Postgres {
  readonly tls?: string | undefined;
  readonly ca?: string | undefined;
}

export function postgresProblem({ tls, ca }: Postgres): readonly [string, string] | undefined {
  if (ca === undefined || (tls ?? 'verify') === 'verify') return undefined;
  return ['ca', 'is only looked at with tls: verify'];
}

export const sqliteFields = {
  path: z
    .string()
    .min(1)
    .max(4096)
    .describe(
      'Database file; relative paths are under the data directory of the agent, and policy.yaml ' +
        'says what else may be used. Example: `/var/lib/mes/orders.db`.',
    ),
  busyTimeout: positiveDuration
    .prefault('5s')
    .describe('How long to wait for a lock that another program holds.'),
};

/** A table or column, as it is named in the database. */
export const databaseName = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => !text.includes('\0'), { error: 'holds a NUL character' });

const topic = z.string().superRefine((text, context) => {
  const problem = topicProblem(text);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

/** Rows as messages. */
export const mqttTargetFields = {
  topic: topic.optional().describe('Topic of every row. Example: `site/lyon/daily`.'),
  topicOf: rowExpression
    .optional()
    .describe(
      'Topic by row: an expression over `row`, instead of `topic`. ' +
        "Example: `\"'press/' + row.machine + '/daily'\"`.",
    ),
  retain: z
    .boolean()
    .default(false)
    .describe('Whether the broker keeps the last message of a topic for later subscribers.'),
  ...brokerFields,
};

interface MqttTarget {
  readonly topic?: string | undefined;
  readonly topicOf?: string | undefined;
}

export function mqttTargetProblem(target: MqttTarget): readonly [string, string] | undefined {
  if ((target.topic === undefined) !== (target.topicOf === undefined)) return undefined;
  return target.topic === undefined
    ? ['topic', 'is missing: topic or topicOf is needed']
    : ['topicOf', 'stands instead of topic'];
}

/** The connector that is given, where exactly one must be. */
export function oneOf<Name extends string>(
  config: Readonly<Partial<Record<Name, unknown>>>,
  names: readonly Name[],
): Name | readonly [field: string, message: string] {
  const [first, second] = names.filter((name) => config[name] !== undefined);
  if (first === undefined) return [names[0] ?? '', `is missing: one of ${names.join(', ')}`];
  return second === undefined ? first : [second, `stands instead of ${first}`];
}

/** A nested object of fields whose `problem` is judged together. */
export function checked<const Shape extends Fields>(
  shape: Shape,
  problem: (config: never) => readonly [string, string] | undefined,
): z.ZodObject<Shape, z.core.$strict> {
  return strict(shape).superRefine((config, context) => {
    const [field, message] = problem(config as never) ?? [];
    if (field !== undefined) {
      context.addIssue({ code: 'custom', path: [field], message: message ?? '' });
    }
  });
}
