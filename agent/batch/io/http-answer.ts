/**
 * What an HTTP answer means for an attempt: which class of error, and when to come again.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { limits } from '@runnel/shared/limits.ts';
import { TaskError } from '../tasks/task-error.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Where it came from, redirects followed. */
  readonly url: URL;
}

/** Not now, but perhaps later: RFC 9110 and 6585. */
const UNAVAILABLE = new Set([408, 425, 429]);
/** An answer's text in an error: enough to see what it says. */
const SHOWN_CHARS = 200;

export function isExpected(status: number, expect: readonly number[] | undefined): boolean {
  return expect === undefined ? status >= 200 && status < 300 : expect.includes(status);
}

/** The error of an answer that is not expected. */
export function answerError(answer: HttpAnswer, method: string, nowMs: number): TaskError {
  const { status, url } = answer;
  const isLater = status >= 500 || UNAVAILABLE.has(status);
  const retryAfterMs = isLater ? retryAfter(answer.headers['retry-after'], nowMs) : undefined;
  const said = shown(answer.body);
  return new TaskError(
    isLater ? 'unavailable' : 'rejected',
    'http_status',
    `${method} ${placeOf(url)} was answered ${status}${said === '' ? '' : `: ${said}`}`,
    { fields: { status }, ...(retryAfterMs !== undefined && { retryAfterMs }) },
  );
}

/** Without the query: it may hold what a log should not. */
export function placeOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** `Retry-After` as milliseconds from now: seconds, or an HTTP date. At most a day. */
export function retryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), limits.retryAfterMsMax);
}

function shown(body: Buffer): string {
  const text = body
    .subarray(0, SHOWN_CHARS * 4)
    .toString('utf8')
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim();
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}

/** The next page of a `Link` header (RFC 8288), or undefined. */
export function nextLink(header: string | undefined): string | undefined {
  for (const [, target, parameters] of (header ?? '').matchAll(/<([^>]*)>([^<]*)/g)) {
    if (/;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)/i.test(parameters ?? '')) {
      return target;
    }
  }
  return undefined;
}
