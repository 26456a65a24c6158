/**
 * What the tasks that speak HTTP have in common: where, with which headers, and how to log in.
 *
 * Secrets are references, so headers that carry one are refused in favour of `auth`.
 */
import { z } from 'zod';
import { credential } from './credential.ts';
import { positiveDuration } from './duration.ts';
import { strict, withHint } from './strict.ts';

const SECRET_HEADERS = new Set(['authorization', 'proxy-authorization', 'cookie', 'x-api-key']);
/** Ours: the length of the body, the connection, and the key by which receivers deduplicate. */
const OWN_HEADERS = new Set([
  'connection',
  'content-length',
  'host',
  'idempotency-key',
  'transfer-encoding',
  'upgrade',
]);
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function headerProblem(name: string): readonly [string, string] | undefined {
  const lower = name.toLowerCase();
  if (!HEADER_NAME.test(name)) return ['is no name of a header', 'for example x-site'];
  if (SECRET_HEADERS.has(lower)) {
    return ['a secret must not stand in a document', 'use auth: with { env | file }'];
  }
  if (OWN_HEADERS.has(lower)) return ['is set by the agent itself', 'leave it out'];
  return undefined;
}

export const httpUrl = z
  .string()
  .max(4096)
  .superRefine((text, context) => {
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    const add = (message: string, hint: string): void =>
      context.addIssue({ code: 'custom', message: withHint(message, hint) });
    if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
      add('is no http:// or https:// URL', 'write https://host/path');
    } else if (parsed.username !== '' || parsed.password !== '') {
      add(
        'must not hold credentials',
        'use auth: { basic: { username, password: { env | file } } }',
      );
    }
  });

const headers = z
  .record(z.string(), z.union([z.string().max(8192), z.number(), z.boolean()]))
  .superRefine((given, context) => {
    for (const [name, value] of Object.entries(given)) {
      const [message, hint] = headerProblem(name) ?? [];
      if (message !== undefined) {
        const text = withHint(message, hint ?? '');
        context.addIssue({ code: 'custom', path: [name], message: text });
      } else if (/[^\t\x20-\x7e\x80-\xff]/.test(String(value))) {
        const text = 'holds characters that no header may have';
        context.addIssue({ code: 'custom', path: [name], message: text });
      }
    }
  });

const scalar = z.union([z.string(), z.number(), z.boolean()]);

export const auth = strict({
  bearer: credential.optional().describe('Token, sent as `Authorization: Bearer …`.'),
  basic: strict({
    username: z.string().max(1024).describe('User name.'),
    password: credential.describe('Password by reference.'),
  })
    .optional()
    .describe('User name and password.'),
  header: strict({
    name: z.string().regex(HEADER_NAME, 'is no name of a header').describe('Name of the header.'),
    value: credential.describe('Its value by reference.'),
  })
    .optional()
    .describe(
      'A header of its own. Example: `{ name: x-api-key, value: { env: RUNNEL_SECRET_K } }`.',
    ),
}).refine((given) => Object.values(given).filter((each) => each !== undefined).length === 1, {
  error: 'needs one of bearer, basic and header',
});

export const httpFields = {
  url: httpUrl.describe('Where. Example: `https://mes.site.example/api/orders`.'),
  headers: headers
    .default({})
    .describe('Headers to send; secrets go into `auth`. Example: `{ accept: application/json }`.'),
  query: z
    .record(z.string(), z.union([scalar, z.array(scalar)]))
    .default({})
    .describe('Added to the URL, encoded; a list repeats its name. Example: `{ line: [1, 2] }`.'),
  auth: auth
    .optional()
    .describe(
      'How to log in; never sent to another host than that of `url`. ' +
        'Example: `{ bearer: { env: RUNNEL_SECRET_MES } }`.',
    ),
  ca: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('Certificates that replace those of the system, a PEM file on the device.'),
  connectTimeout: positiveDuration
    .prefault('10s')
    .describe('How long connecting may take, TLS included; the rest is bounded by `timeout`.'),
  redirects: z
    .number()
    .int()
    .min(0)
    .max(10)
    .default(5)
    .describe('How many redirects are followed, to hosts that policy.yaml allows.'),
};

export const httpStatus = z.number().int().min(100).max(599);
