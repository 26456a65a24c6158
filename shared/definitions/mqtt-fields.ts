/**
 * What the mqtt source and the mqtt sink have in common: the broker, and how to log in.
 */
import { z } from 'zod';
import { credential } from './credential.ts';
import { withHint } from './strict.ts';

const SCHEMES = new Set(['mqtt:', 'mqtts:', 'tcp:', 'ssl:', 'tls:']);

const url = z
  .string()
  .max(2048)
  .superRefine((text, context) => {
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    const add = (message: string, hint: string): void =>
      context.addIssue({ code: 'custom', message: withHint(message, hint) });
    if (parsed === undefined || parsed.hostname === '') {
      add('is no URL of a broker', 'write mqtt://host:1883 or mqtts://host:8883');
    } else if (!SCHEMES.has(parsed.protocol)) {
      add(`${parsed.protocol}// is not supported`, 'write mqtt:// or mqtts://');
    } else if (parsed.username !== '' || parsed.password !== '') {
      add('must not hold credentials', 'use username: and password: { env | file }');
    }
  });

const pemFile = (what: string) =>
  z
    .string()
    .min(1)
    .max(4096)
    .refine((text) => !text.includes('-----BEGIN'), {
      error: withHint('is the content of a PEM file', 'write its path on the device'),
    })
    .optional()
    .describe(
      `${what}, a PEM file on the device. Example: \`/etc/runnel/${what.split(' ')[0]}.pem\`.`,
    );

export const brokerFields = {
  url: url
    .optional()
    .describe(
      "Broker. Default: the device's own, from agent.yaml, which is the embedded one unless it " +
        'says otherwise. Example: `mqtts://broker.local:8883`.',
    ),
  username: z.string().min(1).max(1024).optional().describe('User name at the broker.'),
  password: credential
    .optional()
    .describe('Password by reference. Example: `{ env: RUNNEL_SECRET_BROKER }`.'),
  ca: pemFile('ca certificates that replace those of the system'),
  cert: pemFile('cert of the client'),
  key: pemFile("key of the client's certificate"),
};

interface Broker {
  readonly url?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: unknown;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** What two fields say together. */
export function brokerProblem(broker: Broker): readonly [string, string] | undefined {
  const tls = broker.url !== undefined && /^(mqtts|ssl|tls):/.test(broker.url);
  if ((broker.cert === undefined) !== (broker.key === undefined)) {
    return [broker.cert === undefined ? 'key' : 'cert', 'cert and key come together'];
  }
  for (const field of ['ca', 'cert'] as const) {
    if (broker[field] !== undefined && !tls) return [field, 'needs an mqtts:// url'];
  }
  if (broker.password !== undefined && broker.username === undefined) {
    return ['password', 'needs a username'];
  }
  for (const field of ['username', 'password'] as const) {
    if (broker[field] !== undefined && broker.url === undefined) {
      return [field, "needs a url; the default broker's login is in the device's agent.yaml"];
    }
  }
  return undefined;
}
