/** What many resources share: problems, cursors, and how a route says what it may answer. */
import { z } from '@hono/zod-openapi';
import { RunnelError } from '@runnel/shared/errors.ts';
import { issueSchema } from './job-schemas.ts';

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().openapi({ description: 'Stable, for programs.' }),
    hint: z.string().optional().openapi({ description: 'How to mend it, for people.' }),
    issues: z.array(issueSchema).optional(),
    requestId: z.string().optional(),
  })
  .openapi('Problem');

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: problemSchema } },
});

/** Any route may answer these. */
export const problems = {
  400: problem('The request is malformed'),
  401: problem('No valid token or session'),
  403: problem('The role does not allow it'),
  404: problem('There is no such thing'),
  409: problem('It is not in a state that allows this'),
  413: problem('The body is too large'),
  422: problem('The job document does not pass; `issues` says where'),
  429: problem('Too many requests from this address'),
  503: problem('What it needs cannot be reached now; a device that is not connected'),
} as const;

export function json<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

/** `?limit=` with its bounds and default. */
export const limitParam = (max: number, initial: number) =>
  z.coerce
    .number()
    .int()
    .min(1)
    .max(max)
    .default(initial)
    .openapi({ type: 'integer', minimum: 1, maximum: max, default: initial });

export const flagParam = z
  .enum(['true', 'false', '1', '0', ''])
  .optional()
  .openapi({ type: 'boolean' });

/** `?flag`, `?flag=true` and `?flag=1` are yes. */
export const isSet = (flag: string | undefined): boolean =>
  flag === 'true' || flag === '1' || flag === '';

export const cursorParam = z
  .string()
  .max(32)
  .optional()
  .openapi({ description: '`next` of the page before. Opaque.' });

/** Errors: `cursor_invalid`. */
export function parseCursor(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const id = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(id)) return id;
  throw new RunnelError('cursor_invalid', `${JSON.stringify(text)} is not a cursor`, {
    hint: 'pass the `next` of the page before, or nothing to begin',
  });
}

/** Epoch milliseconds or ISO 8601. */
export const sinceParam = z
  .string()
  .max(64)
  .optional()
  .openapi({ description: 'Epoch milliseconds, or ISO 8601.', example: '2026-01-31T08:00:00Z' });

/** Errors: `request_invalid`. */
export function parseSince(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const at = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isSafeInteger(at)) return at;
  throw new RunnelError('request_invalid', `since: ${JSON.stringify(text)} is not a time`, {
    hint: 'epoch milliseconds or ISO 8601, like 2026-01-31T08:00:00Z',
  });
}
