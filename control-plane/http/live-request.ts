/** Parses what a page sends over the websocket. Errors: `request_invalid`. */
import { RunnelError } from '@runnel/shared/errors.ts';
import { z } from 'zod';
import type { LiveView } from './live-messages.ts';

/** A request names one view; the longest holds a dataset and a cursor. */
const CHARS_MAX = 1024;

const view = z.discriminatedUnion('view', [
  z.strictObject({ view: z.literal('fleet') }),
  z.strictObject({ view: z.literal('agent'), id: z.string().min(1).max(128) }),
  z.strictObject({
    view: z.literal('dataset'),
    dataset: z.string().min(1).max(128),
    after: z
      .string()
      .regex(/^\d{1,15}$/)
      .optional(),
  }),
  z.strictObject({ view: z.literal('runs'), job: z.string().min(1).max(63).optional() }),
  z.strictObject({
    view: z.literal('run'),
    run: z.string().min(1).max(64),
    agent: z.string().min(1).max(128).optional(),
  }),
  z.strictObject({ view: z.literal('attention') }),
]);

const request = z.union([
  z.strictObject({ subscribe: view }),
  z.strictObject({ unsubscribe: view }),
]);

export function parseLiveRequest(text: unknown): { on: boolean; view: LiveView } {
  if (typeof text !== 'string' || text.length > CHARS_MAX) {
    throw new RunnelError(
      'request_invalid',
      `a request is JSON text up to ${CHARS_MAX} characters`,
    );
  }
  const parsed = request.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new RunnelError('request_invalid', z.prettifyError(parsed.error));
  }
  const { data } = parsed;
  return 'subscribe' in data
    ? { on: true, view: data.subscribe as LiveView }
    : { on: false, view: data.unsubscribe as LiveView };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RunnelError('request_invalid', 'a request is JSON text', { cause });
  }
}
